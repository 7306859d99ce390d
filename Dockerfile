# syntax=docker/dockerfile:1
# Pin it by digest where you build for production: --build-arg NODE_IMAGE=node:24-slim@sha256:...
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

# With the optional packages: the compiler's own binary is one. No install script of anybody runs, here or below.
FROM manifest AS build
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
# The sandbox is for laptops: it starts servers of its own.
RUN npm run build && rm -rf dist/sandbox && chmod +x dist/cli/main.js

# Without the optional packages: no embedded Postgres can start here.
FROM manifest AS production
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=production /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY migrations migrations
# The command line, for `kubectl exec` and for pipelines that run in this image (with --entrypoint sluice).
RUN ln -s /app/dist/cli/main.js /usr/local/bin/sluice
# By number, so that Kubernetes can see that it is not root. Nothing below /app belongs to it.
USER 10001:10001
ENV HOST=0.0.0.0 PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# "The process answers", as in the chart: a database that is away is no reason to restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`, { signal: AbortSignal.timeout(4000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# In exec form: node is process 1 and gets the signals itself.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["all"]
