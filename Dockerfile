FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# Benches, the demo and the tests are not part of the image.
RUN npm run build \
  && rm -rf dist/bench dist/scripts dist/.tsbuildinfo \
  && find dist \( -name '*.test.js*' -o -name 'test-*.js*' -o -name '*.bench.js*' \) -delete \
  && find migrations -not -name '*.sql' -type f -delete \
  && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# The migration runner looks for migrations/*.sql beside package.json, not in dist/.
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/migrations ./migrations
COPY --from=build /app/dist ./dist
# Uploaded files: mount a volume here.
ENV ATTACHMENT_DIR=/data/attachments
RUN mkdir -p /data/attachments && chown node:node /data/attachments
VOLUME /data/attachments
USER node
# HTTP_PORT, LIVE_PORT, MQTT_PORT
EXPOSE 8080 8081 1883
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HTTP_PORT || 8080) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
