"""What `tutelage engines quantize` prints at its end."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.quantization import Quantization


def quantize_table(made: Quantization) -> RenderableType:
    table = Table("", "before", "after", "", box=None, padding=(0, 2, 0, 0))
    small, large = made.result.bytes, made.source.bytes
    table.add_row(
        "on disk", f"{large / 1e6:.0f} MB", f"{small / 1e6:.0f} MB", f"{small / large:.0%}"
    )
    told: list[RenderableType] = [table]
    if (report := made.fidelity) is not None:
        one, two = report.before, report.after
        table.add_row(
            "perplexity",
            f"{one.perplexity:.2f}",
            f"{two.perplexity:.2f}",
            f"{two.perplexity / one.perplexity - 1:+.1%}",
        )
        if one.tokens_per_s:
            table.add_row(
                "tokens/s",
                f"{one.tokens_per_s:.1f}",
                f"{two.tokens_per_s:.1f}",
                f"{two.tokens_per_s / one.tokens_per_s - 1:+.0%}",
            )
        if one.engine_memory_bytes and two.engine_memory_bytes:
            table.add_row(
                "engine's memory",
                f"{one.engine_memory_bytes / 1e9:.2f} GB",
                f"{two.engine_memory_bytes / 1e9:.2f} GB",
            )
        told.append(
            Text(
                f"same next token at {report.same_first_choice:.1%} of {report.tokens} places; "
                f"same answer to {report.same_answer:.1%} of {report.texts} questions "
                f"({report.answer_tokens} tokens at most), "
                f"{report.same_opening:.1%} of their tokens before the first difference"
            )
        )
    else:
        told.append(Text("not measured: --texts and a vLLM (--vllm) make a fidelity report"))
    by = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    told.append(Text(f"{made.seconds:.0f} s; {by}"))
    return Group(*told)
