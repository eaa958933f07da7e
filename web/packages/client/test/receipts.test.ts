import { expect, test } from "vitest";
import { opening } from "../../../testing/clients.ts";
import { served, unique } from "../../../testing/server.ts";
import { until } from "../../../testing/until.ts";

const CONFIG = `
[rooms.loose]
subscribe = "signed-in"
publish = "signed-in"
keep = "nothing"
`;
const server = served([], CONFIG);
const open = opening(server);

for (const name of ["lobby", "loose"]) {
  test(`who hears an event that wants a receipt acknowledges it, and hears it once (${name})`, async () => {
    const [publisher, hearer] = [open(), open()];
    const room = `${name}:${unique("receipt")}`;
    const heard: unknown[][] = [];
    hearer.room(room).on("said", (data, place) => heard.push([data, place]));
    hearer.room(room).enter();
    await until(() => expect(hearer.room(room).state.status).toBe("live"));
    const receipts: unknown[] = [];
    publisher.on("tidings:receipt", (receipt) => receipts.push(receipt));
    const receipt = { timeoutMs: 10_000, tries: 3 };
    const { messageId } = await publisher.publish(room, "said", { n: 1 }, { receipt });
    await until(() => expect(receipts).toHaveLength(1));
    expect(receipts).toMatchObject([
      { messageId, outcome: "acknowledged", counts: { acknowledged: 1 }, tries: 1 },
    ]);
    expect(heard).toMatchObject([[{ n: 1 }, { room, messageId }]]);
  });
}
