# Noctule in a container: two stages, no shell needed at run time, any user id, one volume.

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY lib ./lib
RUN npx tsc && npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="Noctule" \
      org.opencontainers.image.description="MQTT 3.1, 3.1.1 and 5.0 broker" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /noctule
# The first start makes the user admin and prints its password once; NOCTULE_SECURITY_ALLOW_ANONYMOUS=true opens it.
ENV NODE_ENV=production NOCTULE_STORE_URL=disk:/data \
    NOCTULE_SECURITY_PASSWORD_FILE=/data/passwords NOCTULE_SECURITY_FIRST_ADMINISTRATOR=true \
    NOCTULE_BANS_FILE=/data/bans
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist/lib ./dist/lib
COPY LICENSE ./
COPY config ./config
# Nothing in the image is written to: whatever user id it runs as, only the volume has to be writable.
RUN mkdir /data && chmod 1777 /data && ln -s /noctule/dist/lib/cli.js /usr/local/bin/noctule \
    && chmod +x /noctule/dist/lib/cli.js
VOLUME /data
USER node
EXPOSE 1883 8083
STOPSIGNAL SIGTERM
# The check has no password: that the WebSocket listener answers a request at all shows that the broker is at work.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8083/').then(() => process.exit(0), () => process.exit(1))"]
ENTRYPOINT ["noctule"]
CMD ["start", "--host", "0.0.0.0"]
