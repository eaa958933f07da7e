import { useQuery } from "@tanstack/react-query";
import { Refusal, type TradeRoomView } from "@tidings/client";
import { useClient } from "@tidings/react";
import { useSession } from "../session.ts";

/**
 * Whether who is no member was one, and left while the room ran: that is for good, and the account stays. Unknown until the
 * server has said so.
 *
 * Only who has an account finds its room. It is asked on the socket, where a no is an answer and no failed request.
 */
export function useHasLeft(room: TradeRoomView, isMember: boolean): boolean | undefined {
  const client = useClient();
  const me = useSession()?.userId;
  const asks = !isMember && room.state === "running";
  const { data, isFetching } = useQuery({
    queryKey: ["left", room.id, room.createdAt, me],
    queryFn: async () => {
      const own = { room: `trade:${room.id}:${me}`, limit: 1 };
      return client.command("/", "history", own).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Refusal && error.code === "not_found") return false;
          throw error;
        },
      );
    },
    enabled: asks,
  });
  return asks && !isFetching ? data : undefined;
}
