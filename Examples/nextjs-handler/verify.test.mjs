// node --test
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { isGenuine } from "./verify.mjs";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW = 1614265330;
const BODY = '{"test": 2432232314}';

function headers(key) {
  const signature = createHmac("sha256", key).update(`job.1.${NOW}.${BODY}`).digest("base64");
  return new Headers({
    "webhook-id": "job.1", "webhook-timestamp": String(NOW), "webhook-signature": `v1a,x v1,${signature}` });
}

const signed = () => headers(Buffer.from(SECRET.slice(6), "base64"));

test("a request that is signed with the secret is genuine, within five minutes and as it was sent", () => {
  assert.equal(isGenuine(signed(), BODY, SECRET, NOW + 300), true);
  assert.equal(isGenuine(signed(), BODY, SECRET, NOW + 301), false);
  assert.equal(isGenuine(signed(), `${BODY} `, SECRET, NOW), false);
  assert.equal(isGenuine(signed(), BODY, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", NOW), false);
});

test("without a secret, or with half of one, nothing is genuine", () => {
  const short = Buffer.alloc(23, 1);
  assert.equal(isGenuine(headers(short), BODY, `whsec_${short.toString("base64")}`, NOW), false);
  // The key that they would be taken for.
  assert.equal(isGenuine(headers(Buffer.alloc(0)), BODY, "", NOW), false);
  assert.equal(isGenuine(headers(Buffer.alloc(0)), BODY, "whsec_", NOW), false);
  assert.equal(isGenuine(headers(Buffer.alloc(0)), BODY, undefined, NOW), false);
  assert.equal(isGenuine(signed(), BODY, SECRET.slice(6), NOW), false);
});
