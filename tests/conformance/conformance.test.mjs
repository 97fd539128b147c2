// The server is named by CONFORMANCE_TEST_URL; see tests/conformance/run.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL, subscriptions: true, longPollTimeoutMs: 20000 })
