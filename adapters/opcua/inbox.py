"""Notifications of one OPC UA subscription."""

from dataclasses import dataclass, field

from asyncua import ua

HEARTBEAT = 2**31 - 1
"""Client handle of the heartbeat node."""

Notification = tuple[int, ua.DataValue, int]
"""A value: the tag's index among the device's tags, the value, and when it was received [ns UTC]."""


@dataclass
class Inbox:
    """Notifications since they were last taken, and when the server was last heard of.

    items: monitored items of the subscription; lost: why it has ended, "" if it has not; heartbeat: the latest value of the heartbeat
    node, and when it was received [ns UTC].
    """

    id: int = 0
    interval_s: float = 0.0
    items: int = 0
    last_contact_s: float = float("-inf")
    last_contact_ns: int = 0
    lost: str = ""
    heartbeat: tuple[ua.DataValue, int] | None = None
    notifications: list[Notification] = field(default_factory=list)

    def mark_alive(self, now_s: float, now_ns: int) -> None:
        """Notes that the server has sent something."""
        self.last_contact_s, self.last_contact_ns = now_s, now_ns

    def received(self, result: ua.PublishResult, now_s: float, now_ns: int) -> None:
        """Handles a publication: values, heartbeat, an empty keep-alive, or the end of the subscription."""
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
                        self.notifications.append((item.ClientHandle, item.Value, now_ns))
        self.mark_alive(now_s, now_ns)
