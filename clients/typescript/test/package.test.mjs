// The package as others get it: both module kinds, types, no platform's own names, and a README whose examples run.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { connect, makeTopic } from "./harness.mjs";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

/** Runs a module inside the package, so that it finds the package by its name. */
async function runModule(name, source, args = [], env = process.env) {
  mkdirSync(`${root}/dist/examples`, { recursive: true });
  const path = `${root}/dist/examples/${name}`;
  writeFileSync(path, source);
  return run(process.execPath, [path, ...args], { timeout: 60_000, env });
}

test("require and import give the same names", async () => {
  const required = require("@tidegate/client");
  const imported = await import("@tidegate/client");
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).filter((name) => name !== "module.exports").sort());
  assert.equal(required.default, required.Fluvio);
  assert.equal(required.partitionForKey("rafael", 5), 3);
});

/** Checks programs without the browser's types, and writes nothing. */
async function compile(directory, options, files) {
  const common = ["--noEmit", "--strict", "--target", "ES2022", "--lib", "ES2022", "--types", "node", "--typeRoots", `${root}/node_modules/@types`];
  const tsc = require.resolve("typescript/bin/tsc");
  await run(process.execPath, [tsc, ...common, ...options, ...files], { cwd: directory }).catch((error) => assert.fail(error.stdout));
}

/** The examples of the README. */
const examples = () => [...readFileSync(`${root}/README.md`, "utf8").matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);

test("the examples have the right types", async () => {
  mkdirSync(`${root}/dist/examples`, { recursive: true });
  const files = examples().map((block, index) => {
    writeFileSync(`${root}/dist/examples/readme-${index}.mjs`, block);
    return `dist/examples/readme-${index}.mjs`;
  });
  const options = ["--module", "NodeNext", "--allowJs", "--checkJs"];
  await compile(root, options, ["examples/pipe.mjs", ...files]);
});

test("it needs nothing that only Node has", async () => {
  for (const file of readdirSync(`${root}/dist/esm`).filter((name) => name.endsWith(".js"))) {
    assert.doesNotMatch(readFileSync(`${root}/dist/esm/${file}`, "utf8"), /from "(node:|[^.])|\brequire\(|\bBuffer\b/, file);
  }
  const topic = await makeTopic(await connect());
  const { stdout } = await runModule(
    "bare.mjs",
    `const url = process.env.TIDEGATE_URL;
     const topic = process.argv[2];
     const { Fluvio } = await import("@tidegate/client");
     const log = console.log;
     delete globalThis.process;
     const fluvio = await Fluvio.connect({ url });
     const producer = await fluvio.topicProducerWithConfig(topic, { compression: "gzip" });
     await producer.send(new Uint8Array([255]), "hello");
     await producer.close();
     for await (const record of await fluvio.consumerWithConfig({ topic })) {
       log(record.key()[0], record.valueString());
       break;
     }`,
    [topic],
  );
  assert.equal(stdout, "255 hello\n");
});

test("where the gateway is: the options, the environment, the current profile", async () => {
  const home = mkdtempSync(`${tmpdir()}/tidegate-home-`);
  const file = `${home}/profiles.toml`;
  const url = process.env.TIDEGATE_URL;
  const tell = (options, env) => runModule("profile.mjs", `
    import Fluvio from "@tidegate/client";
    console.log(await Fluvio.connect(${JSON.stringify(options)}).then(() => "connected", (error) => error.kind + ": " + error.message));`, [], { PATH: process.env.PATH, HOME: home, ...env });
  const said = async (options, env) => (await tell(options, env)).stdout.trim();
  try {
    assert.match(await said({}, { TIDEGATE_PROFILES: file }), /^ClientConfig: the profiles in .* cannot be read/);
    writeFileSync(file, `current = "here"\n[profile.here]\nendpoint = "${url}" # ours\n[profile."far away"]\nendpoint = 'http://127.0.0.1:1'\nkey = "k"\n`);
    assert.equal(await said({}, { TIDEGATE_PROFILES: file }), "connected");
    assert.match(await said({ profile: "far away" }, { TIDEGATE_PROFILES: file, TIDEGATE_URL: url }), /^Socket: the connection to http:\/\/127.0.0.1:1 failed/);
    assert.match(await said({ profile: "none" }, { TIDEGATE_PROFILES: file }), /^ClientConfig: .* has no profile "none"/);
    assert.equal(await said({ url }, { TIDEGATE_PROFILES: file }), "connected");
    assert.equal(await said({}, { TIDEGATE_URL: url }), "connected");
    mkdirSync(`${home}/.config/tidegate`, { recursive: true });
    cpSync(file, `${home}/.config/tidegate/profiles.toml`);
    assert.equal(await said({}, {}), "connected");
    assert.match(await said({ url, apiKey: "two words" }, {}), /^ClientConfig: a key/);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("a compression that is not there says what to install", async () => {
  const alone = mkdtempSync(`${tmpdir()}/tidegate-alone-`);
  try {
    cpSync(`${root}/dist/esm`, alone, { recursive: true });
    writeFileSync(`${alone}/package.json`, '{"type":"module"}');
    const { findCodec } = await import(`${alone}/codec.js`);
    await assert.rejects(findCodec("lz4", {}), (error) => error.kind === "Compression" && error.code === 9000 && /npm install lz4-napi/.test(error.message));
    await assert.rejects(findCodec("snappy", {}), /npm install snappy/);
    assert.ok(await findCodec("gzip", {}));
  } finally {
    rmSync(alone, { recursive: true });
  }
});

test("the examples of the README run, one after another, and end", async () => {
  const blocks = examples();
  assert.equal(blocks.length, 5);
  const outputs = [];
  for (const [index, block] of blocks.entries()) {
    outputs.push((await runModule(`readme-${index}.mjs`, block)).stdout);
  }
  assert.match(outputs[0], /^en hello 0 /);
  assert.match(outputs[1], /^0 1\n$/);
  assert.match(outputs[2], /0 5 hallo\n.*offset: 5/s);
  assert.match(outputs[4], /^2001 /);
});

test("the program of the clients' page runs", async () => {
  const page = readFileSync(`${root}/../../docs/clients.md`, "utf8");
  const [, program] = /^```js\n(.*?)^```$/ms.exec(page);
  assert.match((await runModule("clients-page.mjs", program)).stdout, /^stored at 0\nuser-1 hello\n$/);
});

test("lz4 works from CommonJS too", async () => {
  const { Fluvio } = require("@tidegate/client");
  const fluvio = await Fluvio.connect();
  const topic = await makeTopic(fluvio);
  const producer = await fluvio.topicProducerWithConfig(topic, { compression: "lz4" });
  await producer.send(null, "v");
  await producer.close();
  assert.equal((await (await fluvio.allPartitionsConsumer(topic)).fetch())[0].valueString(), "v");
});

test("the pipe of the examples carries lines", async () => {
  const topic = await makeTopic(await connect(), { partitions: 1 });
  const pipe = `${root}/examples/pipe.mjs`;
  const producing = run(process.execPath, [pipe, "produce", topic]);
  producing.child.stdin.end("one\ntwo\n");
  await producing;
  assert.equal((await run(process.execPath, [pipe, "consume", topic])).stdout, "one\ntwo\n");
});

/** Its files in a directory of their own, as an installation puts them there. */
async function install(directory) {
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], { cwd: root });
  const [{ filename, files }] = JSON.parse(stdout);
  writeFileSync(`${directory}/package.json`, '{"private":true,"type":"module"}');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--omit=peer", `./${filename}`], { cwd: directory });
  return files.map(({ path }) => path);
}

test("what is published is the compiled package and its papers, and works where it is installed", async () => {
  const home = mkdtempSync(`${tmpdir()}/tidegate-fresh-`);
  const source = (ending) => `
    const topic = "fresh-" + process.pid + "-" + Date.now();
    const run = async () => {
      const fluvio = await Fluvio.connect();
      await fluvio.admin().createTopic(topic);
      const producer = await fluvio.topicProducerWithConfig(topic, { compression: "gzip" });
      await producer.send("k", ${JSON.stringify(ending)});
      await producer.close();
      const live = await fluvio.consumerWithConfig({ topic });
      console.log((await live.next()).value.valueString());
      await live.close();
      await fluvio.admin().deleteTopic(topic);
      console.log(await fluvio.topicProducerWithConfig(topic, { compression: "lz4" }).catch((error) => error.kind));
    };
    run();`;
  try {
    const files = await install(home);
    for (const path of ["README.md", "LICENSE", "package.json", "dist/esm/index.js", "dist/esm/index.d.ts", "dist/cjs/index.js", "dist/cjs/index.d.ts", "dist/cjs/package.json"]) {
      assert.ok(files.includes(path), path);
    }
    assert.ok(!files.some((path) => /^(src|test|node_modules|dist\/examples)\//.test(path)));
    writeFileSync(`${home}/program.mjs`, `import Fluvio from "@tidegate/client";${source("module")}`);
    writeFileSync(`${home}/program.cjs`, `const { Fluvio } = require("@tidegate/client");${source("CommonJS")}`);
    // A program that has closed what it opened ends by itself: the time limit kills one that does not.
    assert.equal((await run(process.execPath, ["program.mjs"], { cwd: home, timeout: 60_000 })).stdout, "module\nCompression\n");
    assert.equal((await run(process.execPath, ["program.cjs"], { cwd: home, timeout: 60_000 })).stdout, "CommonJS\nCompression\n");
    cpSync(`${root}/test/types.mts`, `${home}/program.mts`);
    cpSync(`${root}/test/types.cts`, `${home}/program.cts`);
    await compile(home, ["--module", "NodeNext"], ["program.mts", "program.cts"]);
    cpSync(`${root}/test/types.mts`, `${home}/bundled.ts`);
    await compile(home, ["--module", "ESNext", "--moduleResolution", "bundler"], ["bundled.ts"]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
