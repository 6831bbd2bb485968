"""A partly frozen network cut in two: a prefix that training leaves alone, and what is trained."""

import inspect
from collections.abc import Container, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.dropout import _DropoutNd

from vision.network import Network


class Suffix(nn.Module):
    """What follows a prefix. Its modules, parameters and buffers are the network's own, under the
    network's names: training it trains the network."""

    def __init__(self, network: Network, graphs: dict[bool, fx.Graph]) -> None:
        """
        Args:
            graphs: what runs in training (True) and in evaluation (False).
        """
        super().__init__()
        # two ways through the same modules, which are registered once
        self._ways = {mode: fx.GraphModule(network, graph) for mode, graph in graphs.items()}
        for name, module in self._ways[True].named_children():
            self.add_module(name, module)
        self._train_network = network.train

    def forward(self, tensors: tuple[Tensor, ...]) -> Tensor:
        """Outputs [N, K] of what the prefix returned. Layers that work in place write into it."""
        outputs: Tensor = self._ways[self.training](*tensors)
        return outputs

    def train(self, mode: bool = True) -> "Suffix":
        """Training mode as the network has it: frozen modules stay in evaluation."""
        super().train(mode)
        self._train_network(mode)
        return self


def cut(network: Network) -> tuple[nn.Module, Suffix] | None:
    """The network in two: a prefix, from input [N, C, H, W] to a tuple of tensors, that training
    does not change; and the rest, from that tuple to outputs [N, K].

    The prefix is what the network does first and does alike in training and in evaluation: it uses
    no parameter that is trained, draws nothing at random, and neither uses nor gathers statistics
    of a batch. None where nothing frozen comes first, or the network cannot be traced.

    The network is traced without tensors, and so without shapes: see `agrees`. It is cut on the
    device where it is; all three are in evaluation mode then.
    """
    try:
        ways = {mode: _trace(network, mode) for mode in (True, False)}
    except Exception:  # networks branch on the values and sizes of tensors in ways of their own
        return None
    finally:
        network.eval()
    pairs = zip(ways[True][:-1], ways[False][:-1], strict=False)
    alike = [node for node, _ in takewhile(lambda pair: pair[0].meta == pair[1].meta, pairs)]

    varying = _varying(alike)
    layers = [i for node, i in varying.items() if _is_layer(node, network, varying)]
    if not layers:
        return None
    last_uses = [_last_uses(nodes) for nodes in ways.values()]

    def crossing(place: int) -> list[int]:
        """The steps before `place` that are used from there on."""
        made = [i for i in varying.values() if i < place]
        return [i for i in made if any(last[i] >= place for last in last_uses)]

    # as late as can be, but for steps without parameters that only add to what crosses
    place = min(range(len(alike), max(layers), -1), key=lambda place: len(crossing(place)))
    crosses = crossing(place)
    prefix = _part(alike[:1], alike[1:place], tuple(alike[i] for i in crosses))
    suffixes = {
        mode: _part([nodes[i] for i in crosses], nodes[place:-1], nodes[-1].args[0])
        for mode, nodes in ways.items()
    }
    return fx.GraphModule(network, prefix).eval(), Suffix(network, suffixes).eval()


@torch.no_grad()
def agrees(network: Network, prefix: nn.Module, suffix: Suffix, x: Tensor) -> bool:
    """Whether a cut is right for input x [N, C, H, W]: tensors that have the N images in their
    first dimension cross it, and it does in evaluation what the network does.

    It is not where the network takes sizes from its input in one part for the other, lets images
    meet, or draws at random in evaluation too.
    """
    suffix.eval()
    values = prefix.eval()(x)
    if not all(isinstance(v, Tensor) and v.shape[:1] == x.shape[:1] for v in values):
        return False
    # in another order, to tell images from whatever else comes in their number
    outputs = suffix(tuple(v.flip(0) for v in values)).flip(0)
    expected = network(x)
    return torch.allclose(outputs, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


class _Tracer(fx.Tracer):
    """Looks into modules that are frozen in part, until it has met one that is trained. All others
    are called as they are."""

    proxy_buffer_attributes = True
    met_trained = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kinds = {p.requires_grad for p in m.parameters()}
        if len(kinds) == 2 and not self.met_trained:
            return False
        self.met_trained |= True in kinds
        return True


def _trace(network: Network, mode: bool) -> list[fx.Node]:
    """A network's steps in one of its modes, from the input to the output. Those whose `meta` is
    equal do the same."""
    network.train(mode)
    state = torch.get_rng_state()
    nodes = list(_Tracer().trace(network).nodes)
    if not torch.equal(state, torch.get_rng_state()):
        raise ValueError("what was drawn would be part of the trace")
    for node in nodes:
        does = (node.op, node.target, repr(node.args), repr(node.kwargs))
        node.meta = {"does": does, "in training": _in_training(node, network)}
    return nodes


def _in_training(node: fx.Node, network: Network) -> bool:
    """Whether a step does what it does because the network is in training mode."""
    if node.op == "get_attr":
        return network.training and attrgetter(str(node.target))(network).requires_grad
    if node.op != "call_module":
        return False
    module = network.get_submodule(str(node.target))
    return module.training and (any(True for _ in module.parameters()) or _asks_for_mode(module))


def _asks_for_mode(module: nn.Module) -> bool:
    """Whether the code of a module or of one in it mentions `training`, as that of dropout,
    stochastic depth and batch statistics does."""
    functions = [
        function
        for part in module.modules()
        if not (isinstance(part, _DropoutNd) and part.p == 0)
        for kind in type(part).__mro__
        if kind is not nn.Module
        for function in vars(kind).values()
        if inspect.isfunction(function)
    ]
    return any("training" in function.__code__.co_names for function in functions)


def _varying(nodes: Sequence[fx.Node]) -> dict[fx.Node, int]:
    """The steps that depend on the input, which is the first of them, and their places."""
    found = {nodes[0]: 0}
    for i, node in enumerate(nodes):
        if any(source in found for source in node.all_input_nodes):
            found[node] = i
    return found


def _is_layer(node: fx.Node, network: Network, varying: Container[fx.Node]) -> bool:
    """Whether a step brings parameters, or what is made of them, to what depends on the input."""
    if node.op == "call_module":
        return any(True for _ in network.get_submodule(str(node.target)).parameters())
    return any(source not in varying for source in node.all_input_nodes)


def _last_uses(nodes: Sequence[fx.Node]) -> list[int]:
    """For each step, the place of the last that uses it."""
    places = {node: i for i, node in enumerate(nodes)}
    return [max((places[user] for user in node.users), default=-1) for node in nodes]


def _part(inputs: Sequence[fx.Node], nodes: Sequence[fx.Node], outputs: Any) -> fx.Graph:
    """A graph of `nodes`, in their order, and of the constants that they use."""
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in inputs}

    def copy(node: fx.Node) -> fx.Node:
        if node not in copies:
            copies[node] = graph.node_copy(node, copy)
        return copies[node]

    for node in nodes:
        copy(node)
    graph.output(fx.map_arg(outputs, copy))
    return graph
