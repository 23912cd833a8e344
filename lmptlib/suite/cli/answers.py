"""`lmpt answers`: what a class has answered."""

from pathlib import Path

import click


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--csv", is_flag=True, help="A line for each file and question, comma-separated.")
def answers(files: tuple[Path, ...], csv: bool) -> None:
    """Show what was answered in the notebooks: FILES are the students' `outputs/answers.json`.

    By file: right / asked in each notebook. By question: how many asked, answered and right, hardest first.
    """
    from lmptlib.suite.lessons.answers import Answers, answer_table, class_results

    for path in files:
        if not path.is_file():
            raise click.ClickException(f"no file {path}")
    # each by the shortest end of its path that no other has
    names = {}
    for path in files:
        parts = path.resolve().parts
        ends = ("/".join(parts[-length:]) for length in range(1, len(parts) + 1))
        others = [str(other.resolve()) for other in files if other != path]
        names[next(end for end in ends if not any(other.endswith(f"/{end}") for other in others))] = Answers(path)
    if csv:
        click.echo(answer_table(names).to_csv(index=False), nl=False)
        return
    by_file, by_question = class_results(names)
    if by_file.empty:
        raise click.ClickException("nothing was asked in these files")
    click.echo("right / asked, of exercises and quizzes; guesses are neither right nor wrong")
    click.echo(f"{by_file.to_string()}\n\nby question\n{by_question.to_string(index=False)}")
