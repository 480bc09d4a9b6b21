"""What any kind promises whose servers many machines share."""

from __future__ import annotations

import threading


def wait_for_a_share(stores, name, fill):
    """Of three stores, of which two have all connections, the third waits until the first ends."""
    stores[0].build(name, f"{name}_0", fill)
    stores[1].checkout(name, f"{name}_1")
    waiting = threading.Thread(target=stores[2].checkout, args=(name, f"{name}_2"), daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    stores[0].close()  # that run ends
    waiting.join(60)
    assert not waiting.is_alive()
    stores[1].drop(f"{name}_1")
    stores[2].drop(f"{name}_2")
