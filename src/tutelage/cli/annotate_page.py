"""What ``tutelage annotate serve`` does."""

from dataclasses import dataclass

from tutelage.annotation.items import Role
from tutelage.annotation.sql.store import Store
from tutelage.cli.annotate_links import link_of, page_address
from tutelage.cli.console import plain, say
from tutelage.errors import DataError, Problem
from tutelage.studio.door import Office
from tutelage.studio.serving import listen


@dataclass(frozen=True, slots=True)
class Served:
    """The options of ``serve``. ``links``: ``PROJECT/NAME`` of those whose links are printed."""

    host: str
    port: int
    url: str
    links: tuple[str, ...]
    above: float


def serve_command(place: str, wanted: Served) -> None:
    """Serve the page until Ctrl-C."""
    url = page_address(wanted.url, "--url")
    store = Store(place)
    try:
        asked = _asked(store, wanted.links)
        office = Office(store, secure=url.startswith("https:"), above=wanted.above)
        server = listen(office, wanted.host, wanted.port)
        with server.socket:
            url = url or server.url
            say(f"The page is at {url} (Ctrl-C ends it).")
            if not server.is_local and not wanted.url:
                say("Links lead to this machine: say with --url where others reach it.")
            if not server.is_local and not url.startswith("https:"):
                say("Without TLS, everybody on the way can read tokens and texts: put a proxy with TLS before it.")
            for project, name, role in asked:
                _, token = store.invite(project, name, role=role)
                say(f"{plain(name)}, {plain(project)}: {link_of(url, token)}", whole=True)
            if not asked:
                how = f"tutelage annotate invite {store.database.place} PROJECT NAME --page {url}"
                say(f"A link for somebody: {how}", whole=True)
            try:
                server.run()
            except KeyboardInterrupt:
                say("The page has ended.")
    finally:
        store.close()


def _asked(store: Store, links: tuple[str, ...]) -> list[tuple[str, str, Role]]:
    """Project, name and role of everybody whose link is wanted. Raises :class:`DataError` with all that is wrong."""
    projects = {project.name for project in store.projects()}
    problems, found = [], []
    for link in links:
        cuts = [at for at, character in enumerate(link) if character == "/"]
        known = [at for at in cuts if link[:at] in projects and link[at + 1 :].strip()]
        if not known:
            remedy = (
                f"write PROJECT/NAME with a project that is there: {', '.join(sorted(projects)) or 'make one first'}"
            )
            problems.append(Problem("expected a project and a name", "--link", link, remedy))
        elif len(known) > 1:
            problems.append(Problem("two projects fit", "--link", link, "use: tutelage annotate invite ... --page"))
        else:
            found.append((link[: known[0]], link[known[0] + 1 :]))
    for link in sorted({link for link in links if links.count(link) > 1}):
        problems.append(Problem("it is given twice, and the second link would end the first", "--link", link))
    if problems:
        raise DataError("annotate serve", problems)
    roles = {(project, one.name): one.role for project, _ in found for one in store.annotators(project)}
    return [(project, name, roles.get((project, name), "annotator")) for project, name in found]
