"""Sphinx's settings. `python -m website.build` calls Sphinx with them; a page's text is nowhere in here."""

import os
from pathlib import Path

project = "How diffusion models work"
author = ""
project_copyright = ""
language = "en"
html_title = project

extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["_static"]

# Notebooks are shown with the outputs that are stored in them.
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"  # or tables in outputs are lines of bars
nb_merge_streams = True

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4  # GitHub's names for headings: README.md#use-your-own-sprites
myst_links_external_new_tab = False
suppress_warnings = [
    "myst.header",  # cells begin with ### where a notebook's section is short; the order is right within a notebook
]

templates_path = []
html_theme = "sphinx_book_theme"
html_static_path = [str(Path(os.environ["SITE_SOURCE"]) / "_static")]
html_css_files = ["course.css"]
html_copy_source = False  # notebooks are in the repository; twice here they would be twice as much to publish
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
mathjax_path = "mathjax/tex-chtml.js"
copybutton_exclude = ".linenos, .gp, .go"

html_theme_options = {
    "use_download_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "show_prev_next": True,
}

# In GitHub Actions the repository is known: links to it, and buttons that start a notebook in the cloud.
REPOSITORY = os.environ.get("SITE_REPOSITORY", "")
BRANCH = os.environ.get("SITE_BRANCH", "main")
if REPOSITORY:
    html_theme_options |= {
        "repository_url": f"https://github.com/{REPOSITORY}",
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        },
    }


def add_codespaces(app, pagename, templatename, context, doctree):
    """The theme knows Colab and Binder; Codespaces opens the repository, in which the notebook is found by its path."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            address = f"https://codespaces.new/{REPOSITORY}?ref={BRANCH}"
            button = {"type": "link", "text": "Codespaces", "tooltip": "Open in Codespaces", "icon": "fab fa-github"}
            group["buttons"].append({**button, "url": address})


def setup(app):
    """What depends on where the site is built, and a button."""
    if (Path(app.outdir) / "browser" / "index.html").exists():  # the page that draws sprites is built before
        app.tags.add("browser")
    app.connect("html-page-context", add_codespaces, priority=502)  # after the theme
