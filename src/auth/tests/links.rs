//! One-time links: for the first admin, for a password, and never around a second factor.

use super::*;

fn redeem(
    site: &Site,
    token: &str,
    name: Option<&str>,
    password: &str,
) -> Result<Option<SignedIn>, LinkError> {
    let given = Redemption { token, name, password, code: None };
    site.authority.redeem_link(&given, Some(&peer("10.0.0.1")), UNRECORDED)
}

#[test]
fn a_link_makes_the_first_admin_once_and_never_a_second_one() {
    let site = Site::new();
    let hour = SignedDuration::from_hours(1);
    let first = site.authority.make_link(None, hour).unwrap();
    let spare = site.authority.make_link(None, hour).unwrap();
    let (first, spare) = (first.token.reveal(), spare.token.reveal());
    site.user("ada", None);
    for (name, password) in [
        (None, PASSWORD),
        (Some("no name"), PASSWORD),
        (Some("root"), "short"),
        (Some("root"), "password1234"),
        (Some("Ada"), PASSWORD),
    ] {
        assert!(redeem(&site, first, name, password).is_err(), "{name:?}");
    }
    let signed_in = redeem(&site, first, Some("root"), PASSWORD).unwrap().unwrap();
    let session = site.session(signed_in.token.reveal()).unwrap().unwrap();
    assert!(site.authority.may_administer(&session.actor));
    for token in [first, spare] {
        let dead = redeem(&site, token, Some("second"), PASSWORD).unwrap_err();
        assert!(matches!(dead, LinkError::Dead), "{dead}");
        assert!(matches!(site.authority.inspect_link(token), Err(LinkError::Dead)));
    }
    assert!(matches!(site.authority.make_link(None, hour), Err(LinkError::AdminExists)));
    site.sign_in("root", PASSWORD, None).unwrap();
}

#[test]
fn a_link_sets_a_password_once_within_its_time_and_ends_every_session() {
    let site = Site::new();
    let ada = site.person("ada");
    let before = site.sign_in("ada", PASSWORD, None).unwrap();
    let hour = SignedDuration::from_hours(1);
    let new = "five other words make sense";
    let late = site.authority.make_link(Some(ada.id), hour).unwrap();
    site.pass(3600);
    assert!(matches!(redeem(&site, late.token.reveal(), None, new), Err(LinkError::Dead)));
    let older = site.authority.make_link(Some(ada.id), hour).unwrap();
    let link = site.authority.make_link(Some(ada.id), hour).unwrap();
    assert!(matches!(redeem(&site, older.token.reveal(), None, new), Err(LinkError::Dead)));
    // Failures of others do not keep the holder of a link out.
    for host in 0..10 {
        let _ = site.authority.sign_in(
            "ada",
            "guess",
            None,
            &peer(&format!("10.1.1.{host}")),
            UNRECORDED,
        );
    }
    let token = link.token.reveal();
    assert!(matches!(redeem(&site, token, None, "hello-Ada-1234"), Err(LinkError::Password(_))));
    redeem(&site, token, Some("ignored"), new).unwrap().unwrap();
    assert!(matches!(redeem(&site, token, None, new), Err(LinkError::Dead)));
    assert_eq!(site.session(before.token.reveal()).unwrap(), None);
    site.sign_in("ada", new, None).unwrap();
}

#[test]
fn over_the_network_a_link_is_no_way_around_the_second_factor() {
    let site = Site::new();
    let ada = site.person("ada");
    let (secret, _) = site.second_factor(&ada);
    let hour = SignedDuration::from_hours(1);
    let link = site.authority.make_link(Some(ada.id), hour).unwrap();
    let token = link.token.reveal();
    let refused = redeem(&site, token, None, "five other words make sense").unwrap_err();
    assert!(matches!(refused, LinkError::SignIn(SignInError::CodeRequired)), "{refused}");
    site.sign_in("ada", PASSWORD, Some(&site.code(&secret))).unwrap();
    site.pass(30);
    let code = site.code(&secret);
    let given = Redemption {
        token,
        name: None,
        password: "five other words make sense",
        code: Some(&code),
    };
    site.authority.redeem_link(&given, Some(&peer("10.0.0.1")), UNRECORDED).unwrap().unwrap();

    let link = site.authority.make_link(Some(ada.id), hour).unwrap();
    let given =
        Redemption { token: link.token.reveal(), name: None, password: PASSWORD, code: None };
    assert!(
        site.authority.redeem_link(&given, None, UNRECORDED).unwrap().is_none(),
        "the console signs nobody in"
    );
    site.pass(30);
    site.sign_in("ada", PASSWORD, Some(&site.code(&secret))).unwrap();
}
