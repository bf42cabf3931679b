// An HL7 engine, @medplum/hl7: writes every message as a line of JSON, and answers it with the code in a file.
// node engine.mjs MODULE PORT ENHANCED ANSWER_FILE
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, port, enhanced, answerFile] = process.argv.slice(2);
const { Hl7Server } = await import(pathToFileURL(module));

const server = new Hl7Server((connection) => {
  connection.addEventListener("message", ({ message }) => {
    process.stdout.write(JSON.stringify(message.toString()) + "\n");
    const code = readFileSync(answerFile, "utf-8").trim();
    if (enhanced !== "true") connection.send(message.buildAck({ ackCode: code }));
  });
  connection.addEventListener("error", () => {});
});
server.start(Number(port), "utf-8", enhanced === "true");
server.server.on("listening", () => process.stdout.write(JSON.stringify("listening") + "\n"));
