//! `WWW-Authenticate` headers: a challenge names only what the header says.

use tagalong::registry::auth::Challenge;

pub fn run(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else { return };
    let Some(challenge) = Challenge::parse(header) else { return };
    let scheme: String = header.trim().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    match challenge {
        Challenge::Basic => assert!(scheme.eq_ignore_ascii_case("basic")),
        Challenge::Bearer { realm, service } => {
            assert!(scheme.eq_ignore_ascii_case("bearer"));
            assert!(header.contains(&realm) && service.as_ref().is_none_or(|service| header.contains(service)));
            // Written again in the form of RFC 9110, it is the same.
            if !format!("{realm}{service:?}").contains(['"', '\\']) {
                let parts = service.iter().map(|service| format!(",service=\"{service}\""));
                let header = format!("Bearer realm=\"{realm}\"{}", parts.collect::<String>());
                assert_eq!(Challenge::parse(&header), Some(Challenge::Bearer { realm, service }));
            }
        }
    }
}
