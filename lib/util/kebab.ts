/** `queueMessagesMax` as it stands in flags, topics and labels: `queue-messages-max`. */
export function kebabOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
