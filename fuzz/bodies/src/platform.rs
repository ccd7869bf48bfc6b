//! Platforms, as a user types them and as documents have them.

use transship_spec::{Descriptor, Platform, platform};

use crate::parts::parts;

/// The body: one platform is wanted, the other is there. Both are also read as JSON.
pub fn run(bytes: &[u8]) {
    let [first, second] = parts::<2>(bytes);
    let wanted: Vec<Platform> = [first, second].into_iter().filter_map(read).collect();
    for platform in &wanted {
        let normal = platform.normalized();
        assert_eq!(normal.normalized(), normal);
        assert_eq!(platform.fitness(&normal), normal.fitness(platform), "spelling does not matter");
        if let [one, other] = &wanted[..] {
            assert_eq!(one.fitness(other), one.normalized().fitness(&other.normalized()));
        }
        if !normal.is_unknown() {
            assert_eq!(platform.fitness(platform), Some(0));
        }
        let listed = Descriptor { platform: Some(platform.clone()), ..Descriptor::empty() };
        let chosen = platform::select(std::slice::from_ref(&listed), platform);
        assert_eq!(chosen.is_some(), platform.fitness(platform).is_some());
    }
}

fn read(bytes: &[u8]) -> Option<Platform> {
    if let Ok(platform) = serde_json::from_slice::<Platform>(bytes) {
        let written = serde_json::to_string(&platform).unwrap();
        assert_eq!(serde_json::from_str::<Platform>(&written).unwrap(), platform);
        return Some(platform);
    }
    let platform = Platform::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    assert_eq!(Platform::parse(&platform.to_string()), Ok(platform.clone()));
    Some(platform)
}
