// fetch over HTTP/2 with prior knowledge, which Node's own speaks only over TLS.
import { H2CClient, Headers, Pool, Request, Response, fetch, setGlobalDispatcher } from "undici"

// One exchange at a time on a connection: undici holds a POST back while another exchange, such as an event stream, goes on.
const factory = (origin) => new H2CClient(origin, { pipelining: 1, maxConcurrentStreams: 1 })
setGlobalDispatcher(new Pool(process.env.CONFORMANCE_TEST_URL, { factory, connections: 512 }))

// undici never ends a request whose body is empty; one without a body it ends.
const fetchHttp2 = (input, init) => fetch(input, init?.body?.length === 0 ? { ...init, body: undefined } : init)
Object.assign(globalThis, { fetch: fetchHttp2, Headers, Request, Response })
