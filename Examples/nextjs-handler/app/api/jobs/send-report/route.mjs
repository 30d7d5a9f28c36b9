// The endpoint of the job type send_report, as a route handler of the app router (rename to route.ts in TypeScript).
import { isGenuine } from "../../../../verify.mjs";

export const runtime = "nodejs";

export async function POST(request) {
  const body = await request.text();
  if (!isGenuine(request.headers, body, process.env.JOB_HANDLER_SECRET)) {
    return Response.json({ error: "not signed by the job worker" }, { status: 401 });
  }
  const job = JSON.parse(body);
  // 4xx: the job fails for good. 5xx: it is tried again.
  if (typeof job.payload?.to !== "string") {
    return Response.json({ error: "payload.to is missing" }, { status: 422 });
  }
  await tell(job, "progress", { percentage: 50, message: "sending" });
  // A job may come twice: job.id is the key of what must happen once.
  return Response.json({ sent_to: job.payload.to, job: job.id });
}

// Tells the worker something about the running attempt; it matters too little to fail for.
async function tell(job, what, document) {
  const worker = process.env.JOB_WORKER_URL;
  if (!worker || !job.attempt_token) return;
  await fetch(`${worker}/api/jobs/${job.id}/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${job.attempt_token}` },
    body: JSON.stringify(document),
  }).catch(() => {});
}
