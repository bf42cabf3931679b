// A sender of HL7 messages, @medplum/hl7: sends each line of JSON as a message, and writes the answer as a line of JSON.
// node sender.mjs HL7_MODULE CORE_MODULE PORT ENCODING
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [hl7, core, port, encoding] = process.argv.slice(2);
const { Hl7Client } = await import(pathToFileURL(hl7));
const { Hl7Message } = await import(pathToFileURL(core));

const client = new Hl7Client({ host: "127.0.0.1", port: Number(port), encoding, keepAlive: true });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const answer = await client.sendAndWait(Hl7Message.parse(JSON.parse(line)), { timeoutMs: 20000 });
    process.stdout.write(JSON.stringify(answer.toString()) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify(`failed: ${error.message}`) + "\n");
  }
}
await client.close();
