"""All periods, timeouts and retry counts of the operator: each with its unit and the reason for its value.

Names that end in _S are seconds. The others are timedeltas. The module holds constants only.
"""

from datetime import timedelta

# Work queue and workers

BACKOFF_BASE_S = 0.5
"""Ceiling of the first delay after a failed pass. It doubles with each further failure."""
BACKOFF_LIMIT_S = 60.0
"""Longest delay between two attempts for one key."""
AT_ONCE_S = 0.01
"""A pass that requests another one within this time requests it at once."""
FREE_REPEATS = 5
"""Passes in a row that may request another one at once before the backoff applies."""
PASS_TIMEOUT_S = 120.0
"""A pass is canceled after this time, and its key is queued again."""
WRITES_LIMIT_S = 60.0
"""A pass starts no further write after this time, so that the status is written before PASS_TIMEOUT_S."""
COOLDOWN_FACTOR = 2.0
"""A key is not processed again for this many times the duration of its last pass. A pass over an agent with many pods
is long, and every pod event of a burst would start another one."""
COOLDOWN_LIMIT_S = 0.25
"""Longest cooldown of a key."""
STUCK_QUEUE_S = 180.0
"""`/livez` fails if no pass ends for this long while keys wait. It is longer than PASS_TIMEOUT_S, because a pass that
runs longer than its timeout does not return."""

# Control lane

CONTROL_REQUEST_TIMEOUT_S = 10.0
"""Timeout of a write of the control lane, connecting included. Admission webhooks time out after 10 s by default."""
CONTROL_BACKOFF_LIMIT_S = 5.0
"""Longest delay between two attempts of the control lane for one agent, because a halt must not wait a minute after the
API server is back."""

# Repeated writes

REJECTED_RETRY_S = 1.0
"""Delay before a write that the API server rejects is tried again. It doubles with each further rejection."""
REJECTED_RETRY_LIMIT_S = 60.0
"""Longest delay before a rejected write is tried again, so a user waits this long at most after the cause is fixed."""
UNSETTLED_RETRY_S = 1.0
"""Delay before a write is repeated that was not stored as written, if no event causes that earlier."""
CONTESTED_RETRY_S = 10.0
"""Delay before a write that did not last is repeated for the third time. It doubles with each further one."""
CONTESTED_RETRY_LIMIT_S = 300.0
"""Longest delay before a write that did not last is repeated."""
WRITE_MEMORY_S = 600.0
"""A write that lasted for this long counts no more."""

# Halts

HALT_STATUS_DELAY_S = 1.0
"""The status of a PurpleFleaHalt is computed this long after the first acknowledgement, because many follow."""
HALT_CATCH_UP_S = 2.0
"""Time after which a watch that was refused has delivered the events that it missed."""
UNSEEN_POD_DELAY_S = 0.5
"""A pod that may run although it is not watched is read after this time, because usually its event is on the way."""
UNSEEN_POD_RETRY_S = 2.0
"""Delay before a pod that runs and is not watched is read again."""
UNSEEN_POD_CHECK_S = 30.0
"""Delay before a pod whose labels could not be restored is read again. It is not watched, so no event reports that a
user has changed it."""
HALT_EXPIRY_CHECK_S = 30.0
"""Longest time between two checks of spec.expiresAt, because the wall clock can be set."""
HALT_RESTART_S = 20.0
"""A started operator leaves the status of a halt unchanged for this long at most, until all agents have answered."""
HALT_RESUME_LIMIT_S = 60.0
"""An agent resumes at the latest this long after its last halt ended, even if it never reported that it is drained. An
agent that does not answer would otherwise stay halted without an object that says so."""

# Start, leader election, shutdown

STANDBY_BLIND_S = 30.0
"""A standby that has not read the lease for this long is not ready: it would not notice that the leader is gone."""
STOP_FLAG_POLL_S = 0.05
"""Poll interval for a stop flag of another thread. Only tests use one."""
INITIAL_LIST_LIMIT_S = 20.0
"""Longest delay before the first request of a start is retried, because a start blocks everything."""
FIRST_CONTACT_S = 5.0
"""A start ends if the API server cannot be reached for this long and has never answered, because the address is
probably wrong. After the first response, connection errors are retried without a limit."""
LEASE_REQUEST_TIMEOUT_S = 5.0
"""Longest timeout of one request for the lease. It is a third of the renew deadline if that is shorter."""

LEADER_HALTS_S = 1.0
"""A replica that starts or takes over waits for the list of the halts for this long before it serves halts in specs."""
HALTS_LIMIT_S = 10.0
"""Passes start without the list of the halts after this time. Before, most failures of the API server are over, and
each pass without the halts writes the status of its agent twice."""
EXIT_LIMIT_S = 5
"""The process ends at the latest this long after the lease is released, even if a task ignores its cancellation."""

# Observation of the operator

LOOP_LAG_PERIOD_S = 0.1
"""Period of the samples of the event-loop lag. Ten samples a second cost less than 0.1 % of a CPU."""
LOOP_LAG_LIMIT_S = 30.0
"""Longest lag that is counted. The liveness probe ends a process whose loop is blocked for longer."""

# API server

CONNECT_TIMEOUT_S = 10.0
"""Timeout for opening a connection to the API server or to Datadog."""
KUBE_REQUEST_TIMEOUT_S = 30.0
"""Timeout of a request to the API server, connecting included."""
LONGEST_RETRY_AFTER_S = 30.0
"""A longer Retry-After of the API server is cut to this."""
TOKEN_AGE_S = 60.0
"""The token file of the ServiceAccount is read again after this time, because the kubelet rotates it."""
WATCH_BACKOFFS_S = (1, 1, 2, 3, 5, 8, 13, 21)
"""Delays before kopf sends a failed request again. Each is multiplied by a random factor between 0.5 and 1. The last
one repeats without a limit."""
WATCH_BACKOFF_BASE_S = 0.5
"""Ceiling of the delay after a watch that failed or ended at once. It doubles with each further one."""
WATCH_BACKOFF_LIMIT_S = 20.0
"""Longest delay before a list or a watch is sent again. It is shorter than the timeout of a list, which includes the
delay."""
WATCH_TIMEOUT_S = 300
"""The API server ends a watch after this time, and it is opened again."""
WATCH_INACTIVE_S = 70.0
"""A watch without an event or bookmark for this long is opened again. API servers send a bookmark every minute."""
WATCH_STEADY_S = 5.0
"""A watch that was open for this long has not ended at once."""
WATCH_SHORT_LIMIT = 3
"""A warning is logged after this many watches in sequence that ended at once."""
WATCH_RESTART_LIMIT_S = 30.0
"""Longest delay before kopf is started again after it failed."""
KOPF_STOP_S = 2.0
"""Time for kopf to stop. Then the lease is released even if tasks of kopf remain, because their writes are fenced."""
OBJECTS_UNKNOWN_AFTER_S = 60.0
"""Nodes, DaemonSets and pods count as known for this long after the API server refuses their watch, because it also
refuses requests for a moment during its upgrade. A shorter time would then write the status of every agent twice."""
MISSING_KIND_RETRY_S = 60.0
"""Delay between two requests for an optional kind that the API server does not serve. Up to half of it is added, so
that the requests for several kinds are spread."""
INSTRUMENTATION_UNUSED_AFTER_S = 300.0
"""Time that Datadog's Cluster Agent has to process a new DatadogInstrumentation before a condition reports it."""
KIND_REMOVED_AFTER_S = 300.0
"""Time after which a kind that the API server does not find counts as removed. It does not find the kinds of CRDs while
it starts, and agents restart if the kind is removed."""
REFUSED_LIMIT_S = 180.0
"""`/livez` fails if the API server refuses all watches of PurpleFleaAgent for this long. The start that follows ends
with one line that names the cause. Refused watches of other kinds do not end the process, because halts still work."""

# Probes and acknowledgements of agents

AGENT_REQUEST_TIMEOUT_S = 1.5
"""Timeout of a request to an agent, connecting included. The wait for a free connection does not count."""
ACKNOWLEDGEMENT_FIRST_PAUSE_S = 0.5
"""Delay before the mode is requested from an agent again. The kubelet needs 0.5 to 0.9 s from the annotation on the pod
to the refreshed mount."""
ACKNOWLEDGEMENT_LONGEST_PAUSE_S = 15.0
"""Longest delay between two requests to an agent that has not acknowledged the mode."""
STALE_AFTER_ATTEMPTS = 4
"""A pod that still reports another mode after this many requests, 3.5 s after the mount refresh annotation, has an
outdated file."""
PROBE_SECOND_S = 30.0
"""Delay between the first and the second probe of an agent. After a start, the probes of agents that are already known
are spread over this time."""
PROBE_RETRY_S = 10.0
"""Delay after a probe that got no answer."""
PROBE_INTERVAL_S = 300.0
"""Interval between two probes of a running agent, and so the longest delay of a condition that follows from them:
10,000 agents cause 33 requests per second, none to the API server."""
PROBE_CONFIRM_S = 60.0
"""Interval between two probes of an agent that drops telemetry, and first interval of one that does not respond."""
PROBE_SERVED_S = 15.0
"""After the node agent of an agent becomes ready, the agent is probed again, and once more after this time. If no drop
counter grows in between, the agent delivers."""

READINESS_FIRST_S = 10.0
"""Delay before a started pod that is not ready is asked why, because most agents are ready by then."""
READINESS_INTERVAL_S = 30.0
"""Interval between two such requests."""
HTTP_IDLE_S = 20.0
"""An idle connection to the operator's HTTP port is closed after this time. Prometheus scrapes every 15 s."""
HTTP_CONNECTION_S = 60.0
"""A connection to the operator's HTTP port is closed after this time, whatever it does. A slow client sends a byte at a
time and is never idle."""

# Rollouts, volumes and diagnosis of agents

IDENTITY_HOLD_S = 600.0
"""An agent that never ran holds an identity for this long against an agent that can start. The pull of a large image,
or a new node for a pending pod, takes minutes."""
IDENTITY_READ_RETRY_S = 5.0
"""Delay before the previous pods of an identity are read again, if one is left that is not watched, or if the read
failed. It doubles each time."""
UNKNOWN_WRITE_S = 60.0
"""The API server may perform a request without a response for this long, which is the default of its request timeout.
Admission webhooks time out after 30 s at most."""
IDENTITY_READ_LIMIT_S = 60.0
"""Longest delay before they are read again."""
RECREATE_REQUEUE_S = 0.5
"""Delay before a deleted StatefulSet is created again. Its DELETED event may arrive before the key waits for it."""
CLOCK_TOLERANCE = timedelta(seconds=15)
"""Difference between the clocks of a node and of the operator above which a time in the future shows that one of them
is wrong."""
RESTART_PERCENT = 5
"""Percentage of the agents of an env that restart at a time without a change by a user."""
RESTART_SLOT_TIMEOUT_S = 600.0
"""An agent that does not become ready holds its slot of the restart budget for this long at most."""
ROLLOUT_DEADLINE = timedelta(minutes=10)
"""A rollout without progress for this long has failed, like progressDeadlineSeconds of a Deployment."""
CRASH_MEMORY = timedelta(minutes=10)
"""A pod counts as crashing for this long after its last crash, because between two crashes it is ready for a moment."""
CRASH_LOOP_RESTARTS = 2
"""Restarts from which a container counts as crash looping while it runs between two crashes."""
RECREATION_INTERVAL = timedelta(minutes=10)
"""A StatefulSet is recreated at most once in this time, also after a restart of the operator."""
CREATION_SPREAD = timedelta(seconds=10)
"""The children of a new agent are created within this time. A StatefulSet that was created later was recreated, or its
creation failed at first."""
VOLUME_EXPANSION_RETRY_LIMIT_S = 600.0
"""Longest delay before an expansion that the API server rejected is tried again. The first one is REJECTED_RETRY_S, and
it doubles. A storage class that does not allow expansion rejects it each time, so the limit is longer than that of
other writes."""
VOLUME_PENDING_AFTER = timedelta(minutes=1)
"""A volume claim without a volume counts as a problem after this time, because most volumes are provisioned by then."""
POD_STUCK_AFTER_S = 5.0
"""The Events of a pod are read if its container has been in creation for this long, because a missing Secret or
ConfigMap shows only there."""
DIAGNOSIS_INTERVAL_S = 10.0
"""Interval between two reads of the Events of a pod that does not start."""
EVENTS_AGE_S = 2.0
"""Age at which the list of the Events of a namespace is read again. All agents of the namespace share it."""
EVENTS_GAP_S = 0.2
"""Least time between two reads of Events, because the API server searches all Events of a namespace for each."""
REFUSED_PODS_INTERVAL_S = 60.0
"""Interval between two reads of the Events of a StatefulSet whose pods are rejected."""
EVENT_MARGIN = timedelta(seconds=30)
"""Events this much older than the start of the problem still explain it, because the status reports a problem only
after the debounce."""

# Status of agents

STATUS_INTERVAL_S = 1.0
"""Shortest interval between two status writes of one agent, after the first two."""
DEBOUNCE_REPLICAS_S = 1.0
"""If pods are behind, the status waits this long, because most pods are back by then."""
DEBOUNCE_ACKNOWLEDGEMENTS_S = 20.0
"""A restarted operator does not report missing acknowledgements of a known mode before it has asked, at most this
long."""
DEBOUNCE_PROGRESS_S = 15.0
"""A rollout is reported as in progress only after this time. Most rollouts are complete by then and need one write."""
DEBOUNCE_START_S = 3.0
"""The first status of an agent that starts without a problem is written after this time, unless the agent is ready
before. Until then the CRD gives it the condition Ready with the reason WaitingForOperator. A status that reports a pod
that the scheduler rejects waits for the same time."""
DEBOUNCE_RECHECK_S = 0.25
"""Delay before a debounced status is computed again."""
REPORT_AFTER_FAILURES = 3
"""Failed passes in a row, within two seconds, before the status reports a transient error. A conflict or a lost
connection is normal; a failure that persists is not."""
STATUS_COUNTS_INTERVAL_S = 15.0
"""Shortest interval between two status writes that change only replica counts: a burst of pod events must not cause a
burst of writes."""

EVENT_INTERVAL_S = 0.1
"""Average interval between two Events of all agents after a burst. A shared cause can change 1,000 agents at once."""

# Datadog node agents

READINESS_GRACE_S = 30.0
"""A node agent counts as present for this long after it was lost, because a rolling update replaces it in this time."""
SERVICE_RECHECK_S = 300.0
"""Interval between two reads of the Service of a node agent. These Services are not watched."""

# Datadog API

DATADOG_REQUEST_TIMEOUT_S = 30.0
"""Timeout of a request to Datadog's API, connecting included."""
RATE_LIMIT_DEFAULT_RESET_S = 60.0
"""Pause after a 429 without a readable X-RateLimit-Reset."""
RATE_LIMIT_LONGEST_RESET_S = 3600.0
"""A longer X-RateLimit-Reset is cut to this."""
CLEANUP_GIVE_UP_S = 600.0
"""The finalizer is removed after this time even if objects are left in Datadog, because it would block the
namespace."""
ROLLOUT_GATHER_S = 2.0
"""Changes of workloads are collected for this long before deployments are computed."""
ABSENCE_GATHER_S = 30.0
"""Agents that are stopped, removed or replaced are collected for this long before downtimes are set. The window of the
heartbeat monitor is five minutes."""
CREDENTIALS_RETRY_S = 60.0
"""Delay before a missing or invalid Secret with the API keys is read again."""
RESYNC_FRACTION = 0.9
"""The next look is delayed by this fraction of spec.resync, so that it is within the period even with jitter."""
DEPLOYMENT_EVENT_AGE_LIMIT = timedelta(hours=17)
"""Older deployments are not sent, because Datadog rejects events older than 18 hours."""
LATE_CREATE = timedelta(seconds=10)
"""A create request without an answer may still take effect for this long."""
