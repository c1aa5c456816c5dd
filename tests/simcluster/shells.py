"""PowerShell remoting of one node: shells, their pipelines, and the long polls that read them.

Theory of operation. Each shell owns one psrpcore server pool behind one lock (psrpcore is not safe for
threads). psrpcore keeps one queue of outgoing messages for everything; it is drained at once into a
queue per pipeline, so that one slow reader holds up no other. A pipeline runs in a thread of its own and
waits while too much of its output is unread. The last answer of each Receive is kept by its message id:
a client that timed out asks with the identical message and expects the identical data.

Source: [MS-PSRP], [MS-WSMV]; observations of pypsrp against Windows in design notes of this project.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4
from xml.sax.saxutils import escape

from psrpcore import (
    CreatePipelineEvent,
    EndOfPipelineInputEvent,
    GetAvailableRunspacesEvent,
    PipelineInputEvent,
    PSRPPayload,
    ResetRunspaceStateEvent,
    ServerPipeline,
    ServerRunspacePool,
    SetMaxRunspacesEvent,
    SetMinRunspacesEvent,
    StreamType,
)
from psrpcore.types import ProgressRecordType, PSInvocationState, PSVersion

from tests.simcluster import soap
from tests.simcluster.clixml import error_fields, error_record, from_wire, to_wire
from tests.simcluster.pipeline import Stage, Streams
from tests.simcluster.soap import Request, WSManFaultError
from tests.simcluster.values import PsError, Value

_FRAGMENT_BYTES = 32_768
_UNREAD_LIMIT_BYTES = 4 << 20
_INPUT_LIMIT = 64
_ENVELOPE_OVERHEAD_BYTES = 3_000
_DONE = f"{soap.SHELL}/CommandState/Done"
_CONFIGURATION = f"{soap.POWERSHELL}/Microsoft.PowerShell"
_PS_VERSION = "5.1.26100.32522"

RunStages = Callable[[list[Stage], Iterator[Value], Streams], None]
"""Runs one statement of a pipeline; raises `PsError` when it ends with an error."""


class _Stopped(Exception):  # noqa: N818 - it is no error, it is how a pipeline thread ends
    """The client stopped the pipeline, or the shell is gone."""


class _Pool(ServerRunspacePool):  # type: ignore[misc]  # psrpcore is not followed by the type check
    """psrpcore's server pool, reading the call id where pypsrp writes it (`CI` instead of `ci`)."""

    def _process_SetMaxRunspaces(self, event: Any) -> None:
        _copy_call_id(event)
        super()._process_SetMaxRunspaces(event)

    def _process_SetMinRunspaces(self, event: Any) -> None:
        _copy_call_id(event)
        super()._process_SetMinRunspaces(event)


def _copy_call_id(event: Any) -> None:
    received = event._ps_object
    if getattr(received, "ci", None) is None:
        received.ci = received.CI


@dataclass(slots=True)
class _Queue:
    """What waits to be read on the pool (id None) or one pipeline."""

    blobs: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    last_id: str = ""
    last_answer: bytes = b""


class _Pipeline:
    """One running pipeline: its thread, its input, its streams."""

    def __init__(self, shell: Shell, pipeline: Any) -> None:
        self.shell = shell
        self.wire = pipeline
        self.input: deque[Value] = deque()
        self.input_ended = False
        self.is_stopped = False
        self.is_finished = False

    def start(self, created: Any, run: RunStages) -> None:
        """Run the commands the client created."""
        self.input_ended = bool(created.no_input)
        statements: list[list[Stage]] = [[]]
        for command in created.commands:
            arguments = tuple((name, from_wire(value)) for name, value in command.parameters)
            statements[-1].append(Stage(str(command.command_text), arguments, command.is_script))
            if command.end_of_statement:
                statements.append([])
        self.wire._change_state(PSInvocationState.Running, emit=False)
        thread = threading.Thread(
            target=self._run, args=([part for part in statements if part], run), daemon=True
        )
        thread.start()

    def _run(self, statements: list[list[Stage]], run: RunStages) -> None:
        try:
            for stages in statements:
                run(stages, self._received(), self)
            self._end(self.wire.complete)
        except PsError as error:
            record = error_record(error)
            self._end(lambda: self.wire._change_state(PSInvocationState.Failed, error=record))
        except _Stopped:
            self._end(self.wire.stop)
        except Exception as exc:  # noqa: BLE001 - a bug here must reach the client as a failed pipeline
            record = error_record(
                PsError(f"The simulator failed: {exc!r}", "SimulatorFailed", "InvalidOperation")
            )
            self._end(lambda: self.wire._change_state(PSInvocationState.Failed, error=record))

    def _end(self, change_state: Callable[[], object]) -> None:
        with self.shell.changed:
            change_state()
            self.is_finished = True
            self.shell.drain()

    def _received(self) -> Iterator[Value]:
        changed = self.shell.changed
        while True:
            with changed:
                changed.wait_for(lambda: self.input or self.input_ended or self.is_stopped)
                if self.is_stopped:
                    raise _Stopped
                if not self.input:
                    return
                item = self.input.popleft()
                changed.notify_all()
            yield item

    def _send(self, write: Callable[[], object]) -> None:
        with self.shell.changed:
            own_id = self.wire.pipeline_id
            self.shell.changed.wait_for(
                lambda: self.is_stopped or self.shell.unread_bytes(own_id) < _UNREAD_LIMIT_BYTES
            )
            if self.is_stopped:
                raise _Stopped
            write()
            self.shell.drain()

    # the streams a command writes to

    def output(self, value: Value) -> None:
        """Send one object to the client."""
        wire = to_wire(value)
        self._send(lambda: self.wire.write_output(wire))

    def error(self, error: PsError) -> None:
        """Send an error record."""
        fields = error_fields(error)
        self._send(lambda: self.wire.write_error(**fields))

    def warning(self, text: str) -> None:
        """Send a warning record."""
        self._send(lambda: self.wire.write_warning(text))

    def progress(self, activity: str, status: str, percent: int) -> None:
        """Send a progress record."""
        kind = ProgressRecordType.Completed if percent >= 100 else ProgressRecordType.Processing
        self._send(
            lambda: self.wire.write_progress(
                activity, 0, status, percent_complete=percent, record_type=kind
            )
        )

    def pause(self, seconds: float) -> None:
        """Wait, unless the client stops the pipeline."""
        with self.shell.changed:
            if self.shell.changed.wait_for(lambda: self.is_stopped, seconds):
                raise _Stopped


class Shell:
    """One runspace pool of one client."""

    def __init__(
        self, shell_id: UUID, owner: str, run: RunStages, hear: Callable[[bytes], None]
    ) -> None:
        self.shell_id = shell_id
        self.owner = owner
        self.changed = threading.Condition(threading.RLock())
        self.is_closed = False
        self._run = run
        self._hear = hear
        self._pool = _Pool(
            application_private_data={
                "PSVersionTable": {
                    "PSVersion": PSVersion(_PS_VERSION),
                    "PSEdition": "Desktop",
                    "BuildVersion": PSVersion(_PS_VERSION.replace("5.1", "10.0")),
                    "WSManStackVersion": PSVersion("3.0"),
                }
            }
        )
        self._queues: dict[UUID | None, _Queue] = {None: _Queue()}
        self._pipelines: dict[UUID, _Pipeline] = {}

    @property
    def pipeline_count(self) -> int:
        """Pipelines the client has not closed yet."""
        return len(self._pipelines)

    def unread_bytes(self, pipeline_id: UUID) -> int:
        """Output of a pipeline its client has not fetched yet."""
        queue = self._queues.get(pipeline_id)
        return queue.waiting_bytes if queue else 0

    def feed(self, data: bytes) -> None:
        """Take message fragments of the client; may block while a pipeline's input is full."""
        with self.changed:
            self._hear(data)
            self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            while (event := self._pool.next_event()) is not None:
                self._handle(event)
            self.drain()

    def _handle(self, event: Any) -> None:
        running = self._pipelines.get(event.pipeline_id)
        match event:
            case CreatePipelineEvent() if running is not None:
                running.start(event.pipeline, self._run)
            case PipelineInputEvent() if running is not None:
                self.changed.wait_for(
                    lambda: (
                        len(running.input) < _INPUT_LIMIT
                        or running.is_finished
                        or running.is_stopped
                    )
                )
                running.input.append(from_wire(event.data))
                self.changed.notify_all()
            case EndOfPipelineInputEvent() if running is not None:
                running.input_ended = True
                self.changed.notify_all()
            case SetMaxRunspacesEvent() | SetMinRunspacesEvent() | ResetRunspaceStateEvent():
                self._pool.runspace_availability_response(event.ci, True)
            case GetAvailableRunspacesEvent():
                busy = sum(not running.is_finished for running in self._pipelines.values())
                free = max(0, self._pool.max_runspaces - busy)
                self._pool.runspace_availability_response(event.ci, free)
            case _:
                pass  # session capability and the like: psrpcore has queued the reply

    def drain(self) -> None:
        """Move what psrpcore has to send to the queue of its reader."""
        while (payload := self._pool.data_to_send(_FRAGMENT_BYTES)) is not None:
            queue = self._queues.get(payload.pipeline_id)
            if queue is not None:  # else its client has closed it and reads no more
                queue.blobs.append(payload.data)
                queue.waiting_bytes += len(payload.data)
        self.changed.notify_all()

    def command(self, command_id: UUID, data: bytes) -> None:
        """Create a pipeline from its first fragment."""
        with self.changed:
            pipeline = ServerPipeline(self._pool, command_id)
            self._pipelines[command_id] = _Pipeline(self, pipeline)
            self._queues[command_id] = _Queue()
        self.feed(data)

    def receive(self, request: Request, command_id: UUID | None) -> bytes:
        """Answer a Receive: wait for data, at most as long as the client said.

        Raises:
            WSManFaultError: Nothing came in time, or shell or command are gone.
        """
        deadline = time.monotonic() + request.timeout_s
        with self.changed:
            queue = self._queues.get(command_id)
            if queue is None:
                raise soap.command_not_found(str(command_id))
            if queue.last_id == request.message_id:
                return queue.last_answer
            running = self._pipelines.get(command_id) if command_id else None
            self.changed.wait_for(
                lambda: queue.blobs or self.is_closed or (running and running.is_finished),
                max(0.0, deadline - time.monotonic()),
            )
            if self.is_closed:
                raise soap.shell_not_found(str(self.shell_id))
            is_done = running is not None and running.is_finished
            if not queue.blobs and not is_done:
                raise soap.operation_timed_out()
            if not queue.blobs and queue.last_answer:
                # the end was told already: an empty second end would make clients ask for ever
                raise soap.command_not_found(str(command_id))
            answer = soap.answer(request, self._streams(queue, command_id, request, is_done))
            queue.last_id, queue.last_answer = request.message_id, answer
            self.changed.notify_all()
            return answer

    def _streams(
        self, queue: _Queue, command_id: UUID | None, request: Request, is_done: bool
    ) -> str:
        name = "" if command_id is None else f' CommandId="{str(command_id).upper()}"'
        room = request.max_envelope_bytes - _ENVELOPE_OVERHEAD_BYTES
        parts: list[str] = []
        while queue.blobs:
            cost = len(queue.blobs[0]) * 4 // 3 + 120
            if parts and cost > room:
                break
            room -= cost
            blob = queue.blobs.popleft()
            queue.waiting_bytes -= len(blob)
            parts.append(
                f'<rsp:Stream Name="stdout"{name}>{base64.b64encode(blob).decode()}</rsp:Stream>'
            )
        if is_done and not queue.blobs:
            parts.append(
                f'<rsp:CommandState{name} State="{_DONE}"><rsp:ExitCode>0</rsp:ExitCode>'
                "</rsp:CommandState>"
            )
        return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"

    def stop(self, command_id: UUID) -> None:
        """Stop a pipeline; what it wrote can still be read."""
        with self.changed:
            running = self._pipelines.get(command_id)
            if running is not None and not running.is_finished:
                running.is_stopped = True
                self.changed.notify_all()

    def terminate(self, command_id: UUID) -> None:
        """Forget a pipeline, as its client is done with it."""
        self.stop(command_id)
        with self.changed:
            self._pipelines.pop(command_id, None)
            self._queues.pop(command_id, None)
            self._pool.pipeline_table.pop(command_id, None)

    def close(self) -> None:
        """Stop everything; readers that wait are told the shell is gone."""
        with self.changed:
            self.is_closed = True
            for running in self._pipelines.values():
                running.is_stopped = True
            self.changed.notify_all()


class Shells:
    """All shells of one node, and the WSMan actions on them."""

    def __init__(
        self,
        run: RunStages,
        *,
        limit: int = 30,
        listen: Callable[[], Callable[[bytes], None]] = lambda: lambda data: None,
    ) -> None:
        self._run = run
        self._listen = listen
        """Called for each new shell; what it returns hears all that arrives there."""
        self._limit = limit
        self._shells: dict[UUID, Shell] = {}
        self._lock = threading.Lock()

    @property
    def open_count(self) -> int:
        """Shells no client has deleted."""
        return len(self._shells)

    def close_all(self) -> None:
        """Lose every shell, as a restart does."""
        with self._lock:
            gone = list(self._shells.values())
            self._shells.clear()
        for shell in gone:
            shell.close()

    def answer(self, request: Request, owner: str, client: str) -> bytes:
        """Answer one request.

        Raises:
            WSManFaultError: It is refused.
        """
        match request.verb:
            case "Create":
                return self._create(request, owner, client)
            case "Command":
                return self._command(request)
            case "Receive":
                return self._receive(request)
            case "Send":
                return self._send(request)
            case "Signal":
                return self._signal(request)
            case "Delete":
                shell = self._shell(request)
                with self._lock:
                    self._shells.pop(shell.shell_id, None)
                shell.close()
                return soap.answer(request)
            case "Get" if request.resource_uri.endswith("/config"):
                kilobytes = soap.MAX_ENVELOPE_BYTES // 1000
                return soap.answer(
                    request,
                    f'<cfg:Config xmlns:cfg="{soap.CONFIG}">'
                    f"<cfg:MaxEnvelopeSizekb>{kilobytes}</cfg:MaxEnvelopeSizekb></cfg:Config>",
                )
            case "Get":
                return soap.answer(request, _describe(self._shell(request), request, client))
            case _:
                raise soap.not_supported(request.action)

    def _shell(self, request: Request) -> Shell:
        shell = self._shells.get(_uuid(request.shell_id))
        if shell is None:
            raise soap.shell_not_found(request.shell_id)
        return shell

    def _create(self, request: Request, owner: str, client: str) -> bytes:
        if not request.resource_uri.startswith(_CONFIGURATION):
            raise soap.unknown_configuration(request.resource_uri)
        asked = request.body.find("rsp:Shell", soap.NS)
        first = request.body.findtext("rsp:Shell/ps:creationXml", None, soap.NS)
        if asked is None or first is None:
            raise soap.bad_request("The request creates no PowerShell shell.")
        shell_id = _uuid(asked.get("ShellId") or str(uuid4()))
        with self._lock:
            if len(self._shells) >= self._limit:
                raise soap.too_many_shells(self._limit)
            shell = self._shells[shell_id] = Shell(shell_id, owner, self._run, self._listen())
        shell.feed(base64.b64decode(first))
        selector = (
            f"<x:ResourceCreated><a:Address>http://{client}/wsman</a:Address>"
            f"<a:ReferenceParameters><w:ResourceURI>{escape(request.resource_uri)}</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{str(shell_id).upper()}</w:Selector>'
            "</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
        )
        return soap.answer(request, selector + _describe(shell, request, client))

    def _command(self, request: Request) -> bytes:
        line = request.body.find("rsp:CommandLine", soap.NS)
        first = request.body.findtext("rsp:CommandLine/rsp:Arguments", None, soap.NS)
        if line is None or first is None:
            raise soap.bad_request("The request creates no pipeline.")
        command_id = _uuid(line.get("CommandId") or str(uuid4()))
        self._shell(request).command(command_id, base64.b64decode(first))
        return soap.answer(
            request,
            f"<rsp:CommandResponse><rsp:CommandId>{str(command_id).upper()}</rsp:CommandId>"
            "</rsp:CommandResponse>",
        )

    def _receive(self, request: Request) -> bytes:
        stream = request.body.find("rsp:Receive/rsp:DesiredStream", soap.NS)
        named = stream.get("CommandId") if stream is not None else None
        return self._shell(request).receive(request, _uuid(named) if named else None)

    def _send(self, request: Request) -> bytes:
        shell = self._shell(request)
        for stream in request.body.findall("rsp:Send/rsp:Stream", soap.NS):
            shell.feed(base64.b64decode(stream.text or ""))
        return soap.answer(request, "<rsp:SendResponse/>")

    def _signal(self, request: Request) -> bytes:
        signal = request.body.find("rsp:Signal", soap.NS)
        code = request.body.findtext("rsp:Signal/rsp:Code", "", soap.NS)
        if signal is None:
            raise soap.bad_request("The request carries no signal.")
        shell, command_id = self._shell(request), _uuid(signal.get("CommandId", ""))
        if code.lower().endswith("/terminate"):
            shell.terminate(command_id)
        else:
            shell.stop(command_id)
        return soap.answer(request, "<rsp:SignalResponse/>")


def _describe(shell: Shell, request: Request, client: str) -> str:
    return (
        f"<rsp:Shell><rsp:ShellId>{str(shell.shell_id).upper()}</rsp:ShellId>"
        f"<rsp:ResourceUri>{_CONFIGURATION}</rsp:ResourceUri>"
        f"<rsp:Owner>{escape(shell.owner)}</rsp:Owner><rsp:ClientIP>{client}</rsp:ClientIP>"
        "<rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut><rsp:InputStreams>stdin pr</rsp:InputStreams>"
        "<rsp:OutputStreams>stdout</rsp:OutputStreams><rsp:State>Connected</rsp:State></rsp:Shell>"
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise WSManFaultError(
            2150858843, "w:InvalidSelectors", f"{text!r} is not an identifier."
        ) from exc
