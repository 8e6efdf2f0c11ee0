//! Configurations that are and are not taken.

use super::*;

const EXAMPLE: &str = include_str!("vaultd.example.toml");

#[test]
fn the_documented_example_is_a_configuration() {
    let config = Config::parse(EXAMPLE).unwrap();
    config.check().unwrap();
}

const HSM: &str = "[root.pkcs11]\nmodule = \"m.so\"\npin_file = \"pin\"\n";

#[test]
fn an_hsm_and_a_kms_are_configured_and_unknown_keys_of_theirs_refused() {
    let with = |more: &str| Config::parse(&EXAMPLE.replace("[store]", &format!("{more}\n[store]")));
    let site = with(&format!("{HSM}slot = 7\n[root.kms]\nprofile = \"vault\"")).unwrap().root.site();
    assert_eq!((site.hsm.unwrap().slot, site.kms.unwrap().profile.as_deref()), (Some(7), Some("vault")));
    for more in [&format!("{HSM}pin = \"1234\""), "[root.kms]\nsecret_access_key = \"x\"", "[root.pkcs11]\nslot = 1"] {
        assert!(with(more).is_err(), "{more}");
    }
}

#[test]
fn an_unknown_key_is_refused() {
    let text = EXAMPLE.replace("[store]", "[store]\npassword = \"x\"");
    assert!(Config::parse(&text).err().unwrap().to_string().contains("password"));
}

#[test]
fn a_value_out_of_range_names_its_key() {
    for (key, text) in [
        ("listen.keep_alive_seconds", EXAMPLE.replace("keep_alive_seconds = 5", "keep_alive_seconds = 0")),
        ("store.bytes_max", EXAMPLE.replace("# bytes_max = 107374182400", "bytes_max = 1")),
        (
            "tls.warn_days",
            EXAMPLE.replace("warn_days = 30", &format!("warn_days = {}", limits::CERTIFICATE_WARN_DAYS_MAX + 1)),
        ),
        ("backup.keep", EXAMPLE.replace("keep = 7", &format!("keep = {}", limits::BACKUPS_KEPT_MAX + 1))),
        ("root.probe_seconds", EXAMPLE.replace("probe_seconds = 10", "probe_seconds = 0")),
        ("root.pkcs11.timeout_ms", EXAMPLE.replace("[store]", &format!("{HSM}timeout_ms = 1\n[store]"))),
        ("root.kms.timeout_ms", EXAMPLE.replace("[store]", "[root.kms]\ntimeout_ms = 60001\n[store]")),
        (
            "root.next.kms.timeout_ms",
            EXAMPLE.replace("[store]", "[root.next]\nfile = \"n\"\n[root.next.kms]\ntimeout_ms = 60001\n[store]"),
        ),
        (
            "listen.release_requests_max",
            EXAMPLE.replace(
                "release_requests_max = 1024",
                &format!("release_requests_max = {}", limits::REQUESTS_AT_WORK_MAX + 1),
            ),
        ),
        ("listen.intake_requests_max", EXAMPLE.replace("intake_requests_max = 256", "intake_requests_max = 0")),
        ("store.log_bytes_max", EXAMPLE.replace("# log_bytes_max = 1073741824     #", "log_bytes_max = 1 #")),
        ("audit.log_bytes_max", EXAMPLE.replace("log_bytes_max = 1073741824       # as", "log_bytes_max = 1 # as")),
        ("store.sweep_seconds", EXAMPLE.replace("sweep_seconds = 10", "sweep_seconds = 9999")),
    ] {
        let error = Config::parse(&text).unwrap().check().unwrap_err();
        assert!(error.to_string().starts_with(key), "{error}");
    }
}

#[test]
fn the_intake_key_lives_an_hour_to_thirty_days() {
    let hours = |hours: u64| {
        let text = EXAMPLE.replace("key_hours = 24", &format!("key_hours = {hours}"));
        Config::parse(&text).unwrap().check()
    };
    assert!(hours(limits::INTAKE_KEY_HOURS_MIN).is_ok() && hours(limits::INTAKE_KEY_HOURS_MAX).is_ok());
    for wrong in [limits::INTAKE_KEY_HOURS_MIN - 1, limits::INTAKE_KEY_HOURS_MAX + 1] {
        assert!(hours(wrong).unwrap_err().to_string().starts_with("intake.key_hours"));
    }
}

#[test]
fn the_public_origin_is_one_that_a_browser_names() {
    let with = |origin: &str| {
        let text =
            EXAMPLE.replace("# public_origin = \"https://vault.example\"", &format!("public_origin = {origin:?}"));
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.intake.public_origin.as_deref(), Some(origin));
        config.check()
    };
    assert!(with("https://vault.example").is_ok() && with("https://vault.example:8443").is_ok());
    for wrong in [
        "https://vault.example/",
        "https://Vault.example",
        "http://localhost:8443",
        "vault.example",
        "*",
        "https://vault.example; script-src *",
    ] {
        assert!(with(wrong).unwrap_err().to_string().starts_with("intake.public_origin"), "{wrong}");
    }
}

#[test]
fn more_destinations_than_the_limit_are_refused() {
    let table = |nth: usize| format!("\n[destination.d{nth}]\nbase_url = \"https://psp.example\"\npaths = [\"/v1\"]");
    // The example has one.
    let many = |count: usize| EXAMPLE.to_owned() + &(1..count).map(table).collect::<String>();
    Config::parse(&many(limits::DESTINATIONS_MAX)).unwrap().check().unwrap();
    let error = Config::parse(&many(limits::DESTINATIONS_MAX + 1)).unwrap().check().unwrap_err();
    assert!(error.to_string().starts_with("destination"), "{error}");
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "#".repeat(limits::CONFIG_BYTES_MAX + 1)).unwrap();
    assert!(matches!(Config::read(file.path()), Err(ConfigError::TooLarge(_))));
}

#[test]
fn an_address_beyond_loopback_is_noticed() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert!(config.is_loopback_only());
    let text = EXAMPLE.replace("release = \"127.0.0.1:", "release = \"0.0.0.0:");
    assert!(!Config::parse(&text).unwrap().is_loopback_only());
}
