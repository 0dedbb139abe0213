//! Messages of git servers, without the decoration that git and forges add to them.

use crate::text;

/// The prefixes of lines. Gitea adds lines that have nothing but `error:`, GitLab those that have nothing but `remote:`.
const PREFIXES: [&str; 6] = ["remote:", "error:", "fatal:", "ERROR:", "FATAL:", "remote error:"];

/// Returns the lines of a message that say something.
pub fn lines(message: &str) -> Vec<String> {
    message.lines().map(plain).filter(|line| !line.is_empty()).collect()
}

/// Returns a message on one line.
pub fn line(message: &str) -> String {
    lines(message).join(" / ")
}

fn plain(line: &str) -> String {
    // Only the last state of a progress meter is left on the screen.
    let line = line.trim_end_matches('\r');
    let line = text::words(line.rsplit('\r').next().unwrap_or(line));
    let mut rest = line.as_str();
    while let Some(after) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = after.trim_start();
    }
    // GitLab draws a frame.
    rest.trim_matches('=').trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_message_is_shown_without_decoration() {
        let gitea =
            "\r\nerror:\r\nerror: Deploy Key: 3:readonly is not authorized to write to ada/infra.\r\nerror:\r\n";
        assert_eq!(line(gitea), "Deploy Key: 3:readonly is not authorized to write to ada/infra.");
        let gitlab = "remote: \nremote: ========================\nremote: \nremote: ERROR: The project you were looking for \
                      could not be found\nremote: \nremote: ========\n";
        assert_eq!(line(gitlab), "The project you were looking for could not be found");
        assert_eq!(line("fatal: one\nand two\x1b[0m\n"), "one / and two [0m");
        assert_eq!(
            line("counting: 5%\rcounting: 100%, done.\nerror: hook declined\n"),
            "counting: 100%, done. / hook declined"
        );
        assert_eq!(line("error:\nerror:\n"), "");
    }
}
