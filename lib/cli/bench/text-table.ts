/** Tables for terminals: a first column of words, then columns of figures. */

/** The first row is the head. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  const pad = (cell: string, column: number) => {
    const width = widths[column] ?? 0
    return column === 0 ? cell.padEnd(width) : cell.padStart(width)
  }
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** Two digits that mean something, and all before the point; a dash for nothing. */
export function figure(value: number | undefined): string {
  if (value === undefined) return '-'
  const decimals = value >= 20 || value === 0 ? 0 : value >= 10 ? 1 : 2
  return value.toLocaleString('en', {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  })
}

/** `12.3 MB`, `870 B`. */
export function byteFigure(bytes: number | undefined): string {
  if (bytes === undefined) return '-'
  const units = ['B', 'kB', 'MB', 'GB']
  let value = bytes
  while (Math.abs(value) >= 1000 && units.length > 1) {
    value /= 1000
    units.shift()
  }
  return `${figure(value)} ${units[0]}`
}
