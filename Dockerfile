# Two images: `tidegate`, the program alone (a worker, and every command of the CLI), and `proxy`, HAProxy with
# config/haproxy.cfg. Debian 12 for all stages, because the tests run there with these very packages.
ARG DEBIAN=debian:12.12-slim

FROM ${DEBIAN} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
		gcc libc6-dev cmake ninja-build pkg-config python3 libpq-dev libmicrohttpd-dev libnghttp2-dev libwslay-dev \
		libcurl4-openssl-dev libjansson-dev libsodium-dev libjwt-dev libssl-dev zlib1g-dev libzstd-dev liblz4-dev \
		libsnappy-dev \
	&& rm -rf /var/lib/apt/lists/*
WORKDIR /tidegate
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY migrations migrations
COPY sql sql
COPY src src
COPY clients/c clients/c
RUN cmake --preset release -DTIDEGATE_TESTS=OFF \
	&& cmake --build --preset release --target tidegate \
	&& strip build/release/tidegate

FROM ${DEBIAN} AS tidegate
# curl asks /readyz in the health check; ca-certificates are for webhooks.
RUN apt-get update && apt-get install -y --no-install-recommends \
		libpq5 libmicrohttpd12 libnghttp2-14 libwslay1 libcurl4 libjansson4 libsodium23 libjwt0 libssl3 zlib1g libzstd1 \
		liblz4-1 libsnappy1v5 ca-certificates curl \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tidegate
COPY --from=build /tidegate/build/release/tidegate /usr/local/bin/tidegate
COPY --chmod=755 config/compose/secrets config/compose/setup /usr/local/lib/tidegate/
USER 10001:10001
ENV TIDEGATE_LISTEN=0.0.0.0:5470 \
	TIDEGATE_AUTH=required \
	TIDEGATE_LOG_FORMAT=json
EXPOSE 5470
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
	CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:5470/readyz"]
# SIGTERM: stop accepting, answer what was accepted, end streams with a cursor.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidegate"]
CMD ["serve"]

FROM ${DEBIAN} AS proxy
RUN apt-get update && apt-get install -y --no-install-recommends haproxy openssl ca-certificates curl \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --uid 10002 --user-group --no-create-home --shell /usr/sbin/nologin tidegate-proxy \
	&& install -d -o tidegate-proxy -g tidegate-proxy -m 700 /var/lib/tidegate-proxy
COPY config/haproxy.cfg /etc/haproxy/haproxy.cfg
COPY --chmod=755 config/compose/certificate config/compose/proxy /usr/local/lib/tidegate/
USER 10002:10002
VOLUME /var/lib/tidegate-proxy
EXPOSE 8443
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
	CMD ["curl", "-kfsS", "-o", "/dev/null", "https://127.0.0.1:8443/healthz"]
# HAProxy: finish what is open, take nothing new.
STOPSIGNAL SIGUSR1
ENTRYPOINT ["/usr/local/lib/tidegate/proxy"]
