"""What one OPC UA subscription brought."""

from dataclasses import dataclass, field

from asyncua import ua

HEARTBEAT = 2**31 - 1
"""The handle of the node that changes by itself."""

Notification = tuple[int, ua.DataValue, int]
"""One value that came: the tag's place among the device's tags, the value, and when it came [ns UTC]."""


@dataclass
class Inbox:
    """What one subscription brought since it was last emptied, and when it was last heard of.

    items: how many it holds; lost: why it has ended, if it has; heartbeat: the heartbeat's last value, and when it came.
    """

    id: int = 0
    interval_s: float = 0.0
    items: int = 0
    last_contact_s: float = float("-inf")
    last_contact_ns: int = 0
    lost: str = ""
    heartbeat: tuple[ua.DataValue, int] | None = None
    notes: list[Notification] = field(default_factory=list)

    def mark_alive(self, now_s: float, now_ns: int) -> None:
        """The server answered."""
        self.last_contact_s, self.last_contact_ns = now_s, now_ns

    def received(self, result: ua.PublishResult, now_s: float, now_ns: int) -> None:
        """A publication: values, a heartbeat, a keep-alive without anything, or the end."""
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, ua.StatusChangeNotification):
                if part.Status is not None and part.Status.is_bad():
                    self.lost = f"the subscription ended: {part.Status.name}"
                    return
            elif isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems:
                    if item.ClientHandle == HEARTBEAT:
                        self.heartbeat = (item.Value, now_ns)
                    else:
                        self.notes.append((item.ClientHandle, item.Value, now_ns))
        self.mark_alive(now_s, now_ns)
