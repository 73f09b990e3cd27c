import asyncio

import kopf

from support import removed_fields
from support.builders import an_agent


def test_fields_of_created_children_are_removed_when_they_are_no_longer_desired(
    server_without_pods,
):
    server_without_pods.put(an_agent())
    uid = server_without_pods.get("PurpleFleaAgent", "trading", "momentum")["metadata"]["uid"]
    info = kopf.ConnectionInfo(server=server_without_pods.url)
    removed_fields.check(asyncio.run(removed_fields.after_removal(info, uid)))
