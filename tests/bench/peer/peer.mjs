// node peer.mjs DIRECTORY: serves streams kept in the directory on a free port, and prints the URL.
import { DurableStreamTestServer } from "@durable-streams/server"

const server = new DurableStreamTestServer({ port: 0, host: "127.0.0.1", dataDir: process.argv[2] })
const url = await server.start()
console.log(`url ${url}`)
process.on("SIGTERM", async () => {
  await server.stop()
  process.exit(0)
})
