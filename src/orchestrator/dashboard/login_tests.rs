//! Who gets in, for how long, and who does not.

use actix_web::http::StatusCode;
use strongroom_wire::limits;

use super::desk_tests::{Desk, HERE, Log, PASSWORD, Seat, form, operators, with_cookie};
use super::password::fast_hash;
use super::{DashboardConfig, Role};

const LOGGED_OUT: &str = "/dashboard/login?next=%2Fdashboard";

#[actix_web::test]
async fn without_an_operator_there_is_no_dashboard() {
    let mut desk = Desk::new().await;
    desk.restart(&DashboardConfig::default());
    for path in ["/dashboard", "/dashboard/login", "/dashboard/style.css", "/dashboard/payments"] {
        let seen = desk.get(&Seat::default(), path).await;
        assert_eq!((seen.status, seen.text.contains("IR_02")), (StatusCode::NOT_FOUND, true), "{path}");
    }
}

#[actix_web::test]
async fn after_the_login_it_goes_on_where_somebody_wanted_to_go() {
    let desk = Desk::new().await;
    let away = desk.get(&Seat::default(), "/dashboard/payments?merchant=shop&state=failed").await;
    assert_eq!(away.status, StatusCode::SEE_OTHER);
    let login = desk.get(&Seat::default(), away.header("location")).await;
    assert_eq!(login.status, StatusCode::OK);
    let next = login.field("next").replace("&amp;", "&");
    assert_eq!(next, "/dashboard/payments?merchant=shop&state=failed");
    let fields = [("name", "ada"), ("password", PASSWORD), ("next", next.as_str())];
    let seen = desk.send(form("/dashboard/login", &fields).insert_header(("origin", HERE))).await;
    assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, next.as_str()));
    let cookie = seen.header("set-cookie");
    for part in ["__Host-", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(part), "{part}");
    }
    assert!(!cookie.contains("Domain"));
    let seat = Seat { cookie: cookie.split(';').next().map(str::to_owned), ..Seat::default() };
    assert_eq!(desk.get(&seat, "/dashboard/login").await.header("location"), "/dashboard", "no second login");
}

#[actix_web::test]
async fn every_refusal_reads_the_same_and_the_log_alone_tells_them_apart() {
    let desk = Desk::new().await;
    let log = Log::begin();
    let wrong = desk.try_login("ada", "wrong horse battery 1", "10.0.0.1").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.headers.get("set-cookie").is_none());
    for (name, password) in [("nobody", PASSWORD), ("", PASSWORD), ("Ada", PASSWORD), ("ada", ""), ("ada", PASSWORD)] {
        if password == PASSWORD && name == "ada" {
            for _ in 0..limits::LOGIN_TRIES_MAX {
                desk.try_login("ada", "x", "10.0.0.2").await;
            }
        }
        let seen = desk.try_login(name, password, "10.0.0.1").await;
        assert_eq!((seen.status, &seen.text), (wrong.status, &wrong.text), "{name}");
        assert!(seen.headers.get("set-cookie").is_none());
    }
    assert!(log.tells("operator_login_refused", "ada") && log.tells("operator_login_refused", "(no such name)"));
    assert!(log.text().contains("\"is_locked\":true"));
    assert!(!log.text().contains("horse") && !log.text().contains("nobody"), "no input stands in the log");
}

#[actix_web::test]
async fn ten_wrong_passwords_lock_a_name_for_half_an_hour_on_every_node() {
    let mut desk = Desk::new().await;
    let seat = desk.log_in("ada").await;
    let tries = limits::LOGIN_TRIES_MAX;
    for _ in 0..tries - 1 {
        desk.try_login("ada", "wrong", "10.0.0.2").await;
    }
    desk.log_in("ada").await;
    for _ in 0..tries {
        desk.try_login("ada", "wrong", "10.0.0.3").await;
    }
    // Another process on the same store.
    desk.restart(&operators());
    let lock_ms = i64::try_from(limits::LOGIN_LOCK_S).unwrap() * 1000;
    desk.rig.clock.advance(lock_ms - 1);
    assert_eq!(desk.try_login("ada", PASSWORD, "10.0.0.4").await.status, StatusCode::FORBIDDEN);
    desk.log_in("vic").await;
    desk.rig.clock.advance(1);
    desk.log_in("ada").await;
    assert!(!desk.is_in(&seat).await, "which was idle for half an hour");
}

#[actix_web::test]
async fn one_address_gets_only_so_many_tries() {
    let desk = Desk::new().await;
    for number in 0..limits::LOGINS_PER_ADDRESS_MAX {
        assert_eq!(desk.try_login(&format!("guess{number}"), "x", "10.0.0.9").await.status, StatusCode::FORBIDDEN);
    }
    let seen = desk.try_login("ada", PASSWORD, "10.0.0.9").await;
    assert_eq!((seen.status, seen.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    desk.log_in("ada").await;
    desk.rig.clock.advance(i64::try_from(limits::LOGIN_ADDRESS_WINDOW_S).unwrap() * 1000);
    assert_eq!(desk.try_login("ada", PASSWORD, "10.0.0.9").await.status, StatusCode::SEE_OTHER);
}

#[actix_web::test]
async fn login_form_of_another_site_is_refused() {
    let desk = Desk::new().await;
    let fields = [("name", "ada"), ("password", PASSWORD)];
    let post = || form("/dashboard/login", &fields);
    for request in [
        post(),
        post().insert_header(("origin", "https://evil.test")),
        post().insert_header(("origin", "http://ops.test")),
        post().insert_header(("origin", "https://ops.test.evil.test")),
        post().insert_header(("origin", "null")),
        post().insert_header(("origin", HERE)).insert_header(("sec-fetch-site", "cross-site")),
        post().insert_header(("origin", HERE)).insert_header(("sec-fetch-site", "same-site")),
    ] {
        let seen = desk.send(request).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN);
        assert!(seen.headers.get("set-cookie").is_none());
    }
    let same = post().insert_header(("origin", "https://pay.test")).insert_header(("sec-fetch-site", "same-origin"));
    assert_eq!(
        desk.send(same).await.status,
        StatusCode::SEE_OTHER,
        "the configured address, whatever a proxy made of it"
    );
}

#[actix_web::test]
async fn session_ends_when_idle_and_after_a_working_day() {
    let desk = Desk::new().await;
    let (idle_ms, whole_ms) = (limits::OPERATOR_IDLE_S * 1000, limits::OPERATOR_SESSION_S * 1000);
    let advance = |ms: u64| desk.rig.clock.advance(i64::try_from(ms).unwrap());
    let seat = desk.log_in("ada").await;
    advance(idle_ms - 1);
    assert!(desk.is_in(&seat).await);
    advance(idle_ms - 1);
    assert!(desk.is_in(&seat).await, "being seen counts");
    advance(idle_ms);
    assert!(!desk.is_in(&seat).await);
    assert_eq!(desk.get(&seat, "/dashboard").await.header("location"), LOGGED_OUT);

    let seat = desk.log_in("ada").await;
    let step = idle_ms / 2;
    for _ in 0..whole_ms / step - 1 {
        advance(step);
        assert!(desk.is_in(&seat).await);
    }
    advance(step);
    assert!(!desk.is_in(&seat).await, "however busy");
    assert!(!desk.is_in(&seat).await);
}

#[actix_web::test]
async fn logging_out_ends_the_session_itself_and_not_only_the_cookie() {
    let mut desk = Desk::new().await;
    let log = Log::begin();
    let (seat, other) = (desk.log_in("ada").await, desk.log_in("ada").await);
    let seen = desk.post(&seat, "/dashboard/logout", &[]).await;
    assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, "/dashboard/login"));
    assert!(seen.header("set-cookie").ends_with("Max-Age=0"));
    assert!(!desk.is_in(&seat).await && desk.is_in(&other).await);
    desk.restart(&operators());
    assert!(!desk.is_in(&seat).await && desk.is_in(&other).await, "on every node, and after a restart");
    assert!(log.tells("operator_login", "ada") && log.tells("operator_logout", "ada"));
    let id = seat.cookie.unwrap();
    assert!(!log.text().contains(id.split_once('=').unwrap().1), "no session stands in the log");
}

#[actix_web::test]
async fn another_password_or_none_ends_the_sessions_of_an_operator() {
    let mut desk = Desk::new().await;
    let (ada, vic) = (desk.log_in("ada").await, desk.log_in("vic").await);
    let mut changed = operators();
    changed.operators[0].password_hash = fast_hash(PASSWORD);
    desk.restart(&changed);
    assert!(!desk.is_in(&ada).await && desk.is_in(&vic).await);
    changed.operators.truncate(1);
    desk.restart(&changed);
    assert!(!desk.is_in(&vic).await);
    desk.restart(&operators());
    assert!(!desk.is_in(&ada).await && !desk.is_in(&vic).await, "what ended stays ended");
    let ada = desk.log_in("ada").await;
    let mut demoted = operators();
    demoted.operators[0].role = Role::Viewer;
    desk.restart(&demoted);
    let seen = desk.get(&ada, "/dashboard/routing").await;
    assert!(seen.text.contains("viewer") && !seen.text.contains("id=\"save\""), "the role is the configured one");
}

#[actix_web::test]
async fn an_operator_has_only_so_many_sessions_and_a_new_login_ends_the_one_before() {
    let desk = Desk::new().await;
    let mut seats = Vec::new();
    for _ in 0..=limits::OPERATOR_SESSIONS_MAX {
        desk.rig.clock.advance(1);
        seats.push(desk.log_in("ada").await);
    }
    assert!(!desk.is_in(&seats[0]).await);
    for seat in &seats[1..] {
        assert!(desk.is_in(seat).await);
    }
    let fields = [("name", "vic"), ("password", PASSWORD)];
    let again = with_cookie(form("/dashboard/login", &fields), &seats[1]).insert_header(("origin", HERE));
    let seen = desk.send(again).await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
    assert!(!seen.header("set-cookie").contains(seats[1].cookie.as_deref().unwrap()), "another session");
    assert!(!desk.is_in(&seats[1]).await);
}

#[actix_web::test]
async fn cookies_that_are_none_of_ours_open_nothing() {
    let desk = Desk::new().await;
    let good = desk.log_in("ada").await.cookie.unwrap();
    let (name, id) = good.split_once('=').unwrap();
    let other = "A".repeat(43);
    for cookie in [
        String::new(),
        format!("{name}="),
        format!("{name}={other}"),
        format!("{name}={}", &id[1..]),
        format!("x{name}={id}"),
        format!("{good}; {name}={other}"),
        format!("{name}={}", id.to_lowercase() + "x"),
    ] {
        assert!(!desk.is_in(&Seat { cookie: Some(cookie.clone()), ..Seat::default() }).await, "{cookie}");
    }
    assert!(desk.is_in(&Seat { cookie: Some(format!("theme=dark; {good}; a=b")), ..Seat::default() }).await);
}

#[actix_web::test]
async fn login_that_is_too_large_or_has_strange_fields_is_refused() {
    let desk = Desk::new().await;
    let long = "x".repeat(limits::DASHBOARD_FORM_BYTES_MAX);
    let cases: [(&[(&str, &str)], StatusCode); 4] = [
        (&[("name", "ada"), ("password", &long)], StatusCode::PAYLOAD_TOO_LARGE),
        (&[("name", "ada"), ("password", PASSWORD), ("role", "editor")], StatusCode::BAD_REQUEST),
        (&[("name", "ada"), ("name", "vic"), ("password", PASSWORD)], StatusCode::BAD_REQUEST),
        (&[("name", "ada"), ("password", &long[..limits::PASSPHRASE_BYTES_MAX + 1])], StatusCode::FORBIDDEN),
    ];
    for (fields, expected) in cases {
        let seen = desk.send(form("/dashboard/login", fields).insert_header(("origin", HERE))).await;
        assert_eq!(seen.status, expected);
        assert!(seen.headers.get("set-cookie").is_none());
    }
}
