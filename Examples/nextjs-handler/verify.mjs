// Checks that a request comes from the job worker: https://www.standardwebhooks.com
import { createHmac, timingSafeEqual } from "node:crypto";

// How far the clocks of both sides may differ, in seconds.
const TOLERANCE = 300;

/**
 * @param {Headers} headers of the request
 * @param {string} body as it was received, before anything has parsed it
 * @param {string | undefined} secret `whsec_…`, the same as in the handler's secret_file; without one nothing is genuine
 * @param {number} now seconds since 1970
 * @returns {boolean}
 */
export function isGenuine(headers, body, secret, now = Date.now() / 1000) {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const given = headers.get("webhook-signature");
  if (!id || !timestamp || !given || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
  if (!secret?.startsWith("whsec_")) return false;
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  // An empty key would be known to everybody.
  if (key.length < 24) return false;
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
  return given.split(" ").some((entry) => {
    const [version, signature] = entry.split(",");
    if (version !== "v1" || !signature) return false;
    const bytes = Buffer.from(signature, "base64");
    return bytes.length === expected.length && timingSafeEqual(bytes, expected);
  });
}
