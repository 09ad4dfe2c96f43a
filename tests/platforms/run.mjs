// node run.mjs MODULE.wasm VECTORS.json: what main.rs does, in WebAssembly.
import { readFileSync, writeSync } from "node:fs";

const [module, vectors] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(module), {});
const { vereda_push, vereda_run, vereda_at } = instance.exports;
for (const byte of readFileSync(vectors)) vereda_push(byte);
const answers = Buffer.alloc(vereda_run());
for (let index = 0; index < answers.length; index++) answers[index] = vereda_at(index);
for (let done = 0; done < answers.length; ) done += writeSync(1, answers, done);
