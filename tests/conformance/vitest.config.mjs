export default { test: { setupFiles: process.env.CONFORMANCE_HTTP === "2" ? ["./http2.mjs"] : [] } }
