"""Pipelines of commands: find the command, bind its parameters, stream objects from stage to stage.

A command is a generator function: it reads `call.input`, yields objects, writes errors, warnings and
progress through the call, and raises `PsError` to end the pipeline. No script text is ever executed.

Source of error words and identifiers: PowerShell's DiscoveryExceptions and ParameterBinderStrings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tests.simcluster.values import OBJECT, PsError, Value, text_of, type_name

if TYPE_CHECKING:
    from tests.simcluster.state import Node, World

_RUNTIME = "System.Management.Automation.RuntimeException"
_RUNTIME_BASES = (_RUNTIME, "System.SystemException", "System.Exception", OBJECT)
_BINDING = "System.Management.Automation.ParameterBindingException"
_COMMON = {
    "erroraction",
    "warningaction",
    "informationaction",
    "verbose",
    "debug",
    "whatif",
    "confirm",
    "outvariable",
    "errorvariable",
}


class Streams(Protocol):
    """Where a pipeline's records go."""

    def output(self, value: Value) -> None:
        """Send one object to the client."""

    def error(self, error: PsError) -> None:
        """Send a record that does not end the pipeline."""

    def warning(self, text: str) -> None:
        """Send a warning."""

    def progress(self, activity: str, status: str, percent: int) -> None:
        """Send a progress record."""

    def pause(self, seconds: float) -> None:
        """Wait, unless the client stops the pipeline."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of a pipeline as the client sent it."""

    name: str
    arguments: tuple[tuple[str | None, Value], ...]
    is_script: bool = False


def text(value: Value) -> Value:
    """Convert an argument to [string]."""
    return text_of(value)


def texts(value: Value) -> Value:
    """Convert an argument to [string[]]."""
    return [text_of(item) for item in value] if isinstance(value, list) else [text_of(value)]


def number(value: Value) -> Value:
    """Convert an argument to [int]."""
    return int(text_of(value))


def switch(value: Value) -> Value:
    """Convert an argument to [switch]: named without a value means on."""
    return True if value is None else value is True or text_of(value).lower() in {"true", "1"}


def anything(value: Value) -> Value:
    """Take an argument as [object]."""
    return value


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a cmdlet."""

    name: str
    convert: Callable[[Value], Value] = text
    position: int | None = None
    is_mandatory: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(slots=True)
class Call:
    """One running stage: its bound arguments, its input, and the node it runs on."""

    name: str
    arguments: dict[str, Any]
    input: Iterator[Value]
    world: World
    node: Node
    streams: Streams
    full_id: str
    """What the platform appends to error identifiers: the name of the cmdlet's class."""
    error_action: str = "Continue"

    def __getitem__(self, parameter: str) -> Any:
        return self.arguments.get(parameter)

    def failure(
        self,
        message: str,
        error_id: str,
        category: str = "NotSpecified",
        *,
        exception: str = "System.Exception",
        target: str = "",
    ) -> PsError:
        """Return an error record of this cmdlet: raise it, or hand it to `error`."""
        return PsError(
            message,
            f"{error_id},{self.full_id}",
            category,
            exception,
            target,
            activity=self.name,
        )

    def error(self, error: PsError) -> None:
        """Write a non-terminating error, as far as -ErrorAction lets it stay one."""
        if self.error_action == "stop":
            raise error
        if self.error_action not in {"ignore", "silentlycontinue"}:
            self.streams.error(error)

    def pause(self, seconds: float) -> None:
        """Wait in real time; a stopped pipeline waits no longer."""
        self.streams.pause(seconds)


Run = Callable[[Call], Iterable[Value]]


@dataclass(frozen=True, slots=True)
class _Cmdlet:
    name: str
    parameters: tuple[Parameter, ...]
    owner: str
    run: Run
    is_program: bool = False


@dataclass(slots=True)
class Library:
    """The commands a node knows."""

    commands: dict[str, _Cmdlet] = field(default_factory=dict)

    def cmdlet(self, name: str, *parameters: Parameter, owner: str = "") -> Callable[[Run], Run]:
        """Register a cmdlet; `owner` is its class, as the platform prints it in error identifiers."""

        def register(run: Run) -> Run:
            self.commands[name.lower()] = _Cmdlet(name, parameters, owner or name, run)
            return run

        return register

    def program(self, *names: str) -> Callable[[Run], Run]:
        """Register an in-box program: its arguments arrive as texts in `call.arguments["args"]`."""

        def register(run: Run) -> Run:
            for name in names:
                self.commands[name.lower()] = _Cmdlet(name, (), name, run, is_program=True)
            return run

        return register

    def include(self, other: Library) -> None:
        """Take over another library's commands."""
        self.commands.update(other.commands)


def run_pipeline(
    stages: list[Stage],
    source: Iterator[Value],
    *,
    library: Library,
    world: World,
    node: Node,
    streams: Streams,
) -> None:
    """Run one pipeline and send what its last stage yields.

    Raises:
        PsError: The pipeline ended with a terminating error.
    """
    flow: Iterator[Value] = source
    for stage in stages:
        if stage.is_script:
            world.journal.count_script()
            raise _refuse_script(node)
        command = library.commands.get(stage.name.lower())
        if command is None:
            raise not_found(stage.name)
        world.journal.count_command(command.name)
        call = _bind(command, stage, flow, world, node, streams)
        flow = iter(command.run(call))
    for value in flow:
        streams.output(value)


def print_errors(call: Call, text: str) -> None:
    """Write what a program prints on its error stream: a record for each line."""
    for number, line in enumerate(text.splitlines()):
        name = "NativeCommandError" if number == 0 else "NativeCommandErrorMessage"
        remote = "System.Management.Automation.RemoteException"
        call.streams.error(PsError(line, name, "NotSpecified", remote, target=line))


def not_found(name: str) -> PsError:
    """Return the error of a command that the node does not have."""
    return PsError(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or "
        "operable program. Check the spelling of the name, or if a path was included, verify that "
        "the path is correct and try again.",
        "CommandNotFoundException",
        "ObjectNotFound",
        "System.Management.Automation.CommandNotFoundException",
        name,
        base_exceptions=_RUNTIME_BASES,
    )


def _refuse_script(node: Node) -> PsError:
    if node.language_mode == "FullLanguage":
        return PsError(
            "The simulated node executes no script text. Send cmdlets with parameters.",
            "SimulatorExecutesNoScript",
            "NotImplemented",
            "System.NotSupportedException",
        )
    return PsError(
        "Cannot invoke method. Method invocation is supported only on core types in this language "
        "mode.",
        "MethodInvocationNotSupportedInConstrainedLanguage",
        "InvalidOperation",
        _RUNTIME,
        base_exceptions=_RUNTIME_BASES,
    )


def _binding_error(command: _Cmdlet, message: str, error_id: str) -> PsError:
    return PsError(
        message,
        f"{error_id},{command.owner}",
        "InvalidArgument",
        _BINDING,
        activity=command.name,
        base_exceptions=_RUNTIME_BASES,
    )


def _bind(
    command: _Cmdlet,
    stage: Stage,
    flow: Iterator[Value],
    world: World,
    node: Node,
    streams: Streams,
) -> Call:
    call = Call(command.name, {}, flow, world, node, streams, command.owner)
    if command.is_program:
        call.arguments["args"] = [
            text_of(value) if name is None else f"-{name}" for name, value in stage.arguments
        ]
        return call
    positional: list[Value] = []
    for name, value in stage.arguments:
        if name is None:
            positional.append(value)
        elif name.lower() in _COMMON:
            if name.lower() == "erroraction":
                call.error_action = text_of(value).lower()
        else:
            parameter = _find(command, name)
            call.arguments[parameter.name] = _convert(command, parameter, value)
    free = sorted(
        (p for p in command.parameters if p.position is not None and p.name not in call.arguments),
        key=lambda p: p.position or 0,
    )
    for value in positional:
        if not free:
            raise _binding_error(
                command,
                f"A positional parameter cannot be found that accepts argument '{text_of(value)}'.",
                "PositionalParameterNotFound",
            )
        parameter = free.pop(0)
        call.arguments[parameter.name] = _convert(command, parameter, value)
    missing = [
        p.name for p in command.parameters if p.is_mandatory and p.name not in call.arguments
    ]
    if missing:
        raise _binding_error(
            command,
            "Cannot process command because of one or more missing mandatory parameters: "
            f"{' '.join(missing)}.",
            "MissingMandatoryParameter",
        )
    return call


def _find(command: _Cmdlet, name: str) -> Parameter:
    wanted = name.lower().removeprefix("-")
    for parameter in command.parameters:
        names = {parameter.name.lower(), *(alias.lower() for alias in parameter.aliases)}
        if wanted in names:
            return parameter
    matches = [p for p in command.parameters if p.name.lower().startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise _binding_error(
            command,
            f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. "
            f"Possible matches include: {' '.join(f'-{p.name}' for p in matches)}.",
            "AmbiguousParameter",
        )
    raise _binding_error(
        command,
        f"A parameter cannot be found that matches parameter name '{name}'.",
        "NamedParameterNotFound",
    )


def _convert(command: _Cmdlet, parameter: Parameter, value: Value) -> Value:
    try:
        return parameter.convert(value)
    except ValueError:
        raise _binding_error(
            command,
            f"Cannot bind parameter '{parameter.name}'. Cannot convert value "
            f'"{text_of(value)}" of type "{type_name(value)}".',
            "CannotConvertArgumentNoMessage",
        ) from None
