//! The reference of all settings, from which docs/config.md is made.

use std::fmt::Write as _;

use super::Settings;

/// Writes the reference in Markdown.
pub(crate) fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Made from cli/src/settings/sections.rs by `WATTLE_UPDATE=1 cargo test -p wattle --test house`. -->\n\n\
         Defaults < `wattle.yaml` (or `--config FILE`) < environment (`WATTLE__SECTION__KEY`) < flags. An unknown key is \
         an error; `wattle check` lists every problem at once. Durations: `500ms`, `15s`, `10m`, `2h`, `7d`. An address \
         without a host (`:9090`) is on 127.0.0.1. Any key can be given on the command line as `--set SECTION.KEY=VALUE`.\n",
    );
    let mut section = "";
    for key in Settings::keys() {
        if key.section != section {
            section = key.section;
            write!(page, "\n## {section}\n\n| key | kind | default | range | meaning |\n|---|---|---|---|---|\n")
                .expect("writing to a String cannot fail");
        }
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        writeln!(page, "| `{}` | {} | {default} | {} | {} |", key.name, key.kind, key.range, key.doc.trim())
            .expect("writing to a String cannot fail");
    }
    page
}
