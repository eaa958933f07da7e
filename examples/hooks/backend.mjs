// A backend that decides for Tidings: `node backend.mjs`, with TIDINGS_HOOKS__SECRET set as for the server.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const SECRET = process.env.TIDINGS_HOOKS__SECRET ?? "";
const FIVE_MINUTES = 300;

/** Whether a request was signed with our secret, and not long ago. */
export function isGenuine(headers, body, secret = SECRET, now = Date.now() / 1000) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const wanted = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  const signatures = String(headers["webhook-signature"] ?? "").split(" ");
  const signed = signatures.some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ""), "base64");
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
  return signed && Math.abs(now - Number(timestamp)) <= FIVE_MINUTES;
}

/** Editors may do everything in documents; everybody else may read. */
export function decide({ action, roles }) {
  if (action === "publish" && !roles.includes("editor")) {
    return { allow: false, code: "forbidden", message: "only editors write" };
  }
  return { allow: true, cacheSeconds: 30 };
}

export function serve(port, secret = SECRET) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (!isGenuine(request.headers, body, secret)) return response.writeHead(401).end();
    const answer = JSON.stringify(decide(JSON.parse(body.toString())));
    response.writeHead(200, { "content-type": "application/json" }).end(answer);
  });
  return server.listen(port, "127.0.0.1");
}

if (process.argv[1] === import.meta.filename) {
  if (!SECRET) throw new Error("set TIDINGS_HOOKS__SECRET");
  serve(Number(process.env.PORT ?? 8081));
}
