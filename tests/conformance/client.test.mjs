// The published client as its users have it, against a running gateway: written and read live, in every mode.
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { expect, test } from "vitest"

const base = process.env.CONFORMANCE_TEST_URL
let number = 0

function newUrl() {
  return `${base}/v1/stream/client/${Date.now()}-${process.pid}-${++number}`
}

/** What a subscription delivers until the batch that ends the stream. (`closed` of the response comes before it.) */
function collect(response, subscribe, add) {
  return new Promise((resolve, reject) => {
    response.closed.catch(reject)
    response[subscribe]((batch) => {
      add(batch)
      if (batch.streamClosed) resolve()
    })
  })
}

for (const live of ["sse", "long-poll", true]) {
  test(`what an idempotent producer sends, a reader with live=${live} gets once and in order`, async () => {
    const url = newUrl()
    const handle = await DurableStream.create({ url, contentType: "application/json" })
    const response = await stream({ url, offset: "-1", live, json: true })
    const got = []
    const reading = collect(response, "subscribeJson", (batch) => got.push(...batch.items))
    const failures = []
    const producer = new IdempotentProducer(handle, "p", { autoClaim: true, onError: (error) => failures.push(error) })
    const sent = Array.from({ length: 2000 }, (_, i) => ({ i, text: "line\n ünd \u{1F600}" }))
    for (const item of sent) producer.append(JSON.stringify(item))
    await producer.flush()
    await producer.close(JSON.stringify({ last: true }))
    await reading
    expect(failures).toEqual([])
    expect(got).toEqual([...sent, { last: true }])
  })

  test(`text arrives as it was written with live=${live}`, async () => {
    const url = newUrl()
    const handle = await DurableStream.create({ url, contentType: "text/plain" })
    const response = await stream({ url, offset: "-1", live })
    let got = ""
    const reading = collect(response, "subscribeText", (chunk) => (got += chunk.text))
    const pieces = ["one\n", " two", "\n\n", "  three ", "event: control\n", "data:{}\n\n", "\u20AC\u{1F600}", "end"]
    for (const piece of pieces) await handle.append(piece)
    await handle.close()
    await reading
    expect(got).toBe(pieces.join(""))
  })

  test(`bytes arrive as they were written with live=${live}`, async () => {
    const url = newUrl()
    const handle = await DurableStream.create({ url, contentType: "application/octet-stream" })
    const response = await stream({ url, offset: "-1", live })
    const got = []
    const reading = collect(response, "subscribeBytes", (chunk) => got.push(...chunk.data))
    const sent = []
    for (let i = 0; i < 20; i++) {
      const piece = Uint8Array.from({ length: 100 + i }, (_, at) => (at * 7 + i) & 255)
      sent.push(...piece)
      await handle.append(piece)
    }
    await handle.close()
    await reading
    expect(got).toEqual(sent)
  })
}

test("a character in two appends is one in an event stream", async () => {
  const url = newUrl()
  const handle = await DurableStream.create({ url, contentType: "text/plain" })
  const response = await stream({ url, offset: "-1", live: "sse" })
  let got = ""
  const reading = collect(response, "subscribeText", (chunk) => (got += chunk.text))
  const smile = new TextEncoder().encode("\u{1F600}")
  await handle.append("a")
  await handle.append(smile.slice(0, 2))
  await handle.append(smile.slice(2))
  await handle.close()
  await reading
  expect(got).toBe("a\u{1F600}")
})

test("a reader goes on from the offset that it kept", async () => {
  const url = newUrl()
  const handle = await DurableStream.create({ url, contentType: "application/json" })
  for (let i = 0; i < 10; i++) await handle.append(JSON.stringify(i))
  const { offset } = await handle.head()
  for (let i = 10; i < 20; i++) await handle.append(JSON.stringify(i))
  const items = await (await stream({ url, offset, live: false })).json()
  expect(items).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
  expect(await (await stream({ url, live: false })).json()).toHaveLength(20)
  await handle.delete()
  expect(await DurableStream.head({ url })).toMatchObject({ exists: false })
})
