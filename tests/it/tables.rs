//! Tables as data: from a file to the cells that are served.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: none.

use serde_json::{Value, json};

use crate::harness::{Home, Server, wait_for};

struct Asked<'s> {
    server: &'s Server<'s>,
    key: String,
    path: String,
}

impl<'s> Asked<'s> {
    fn new(server: &'s Server<'s>, key: &str, source: &str) -> Self {
        let id = server.home.item(source)["document_id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/tenants/demo/documents/{id}");
        Self { server, key: key.to_owned(), path }
    }

    fn get(&self, rest: &str) -> crate::harness::Response {
        self.server.with_key(&self.key, "GET", &format!("{}{rest}", self.path), b"")
    }

    fn tables(&self) -> Vec<Value> {
        let answer = self.get("/tables");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["tables"].as_array().unwrap().clone()
    }
}

#[test]
fn the_cells_of_a_table_are_served_with_their_values_and_their_place() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let mut text = "id,sum,day,note\n".to_owned();
    (0..1500).for_each(|n| text.push_str(&format!("{n:05},{n}.5,2024-03-01,=cmd{n}\n")));
    home.add_text("sums.csv", &text);
    home.add_text("plain.txt", "No table is in here.");
    server.settle();

    let asked = Asked::new(&server, &key, "sums.csv");
    assert_eq!(asked.get("").json()["tables"], 1);
    let tables = asked.tables();
    let [table] = tables.as_slice() else { panic!("{tables:#?}") };
    assert_eq!(table["header"], json!(["id", "sum", "day", "note"]));
    assert_eq!((&table["rows"], &table["columns"]), (&json!(1500), &json!(4)));
    assert_eq!(table["truncated"], false);
    let span = asked.get(&format!("/text?start={}&end={}", table["start"], table["end"])).text();
    assert!(span.starts_with("id | sum | day | note\n00000 | 0.5"), "{span}");
    assert!(span.trim_end().ends_with("| =cmd1499"), "{span}");

    let page = asked.get("/tables/1?start=1200&limit=2").json();
    assert_eq!(
        page["cells"],
        json!([
            ["01200", 1200.5, {"date": "2024-03-01"}, "=cmd1200"],
            ["01201", 1201.5, {"date": "2024-03-01"}, "=cmd1201"]
        ])
    );
    assert_eq!((&page["first_row"], &page["next_start"]), (&json!(1200), &json!(1202)));
    let end = asked.get("/tables/1?start=1499").json();
    assert_eq!((end["cells"].as_array().unwrap().len(), &end["next_start"]), (1, &Value::Null));

    let csv = asked.get("/tables/1?format=csv");
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    let lines = csv.text();
    assert_eq!(lines.lines().count(), 1501);
    assert_eq!(lines.lines().nth(2), Some("00001,1.5,2024-03-01,'=cmd1"));
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Accept", "text/csv")];
    let negotiated = server.request("GET", &format!("{}/tables/1", asked.path), &headers, b"");
    assert_eq!(negotiated.text(), lines);

    let query = "/api/v1/tenants/demo/search?q=00777&mode=keyword";
    let found = server.with_key(&key, "GET", query, b"").json();
    let passage = &found["results"][0]["passages"][0];
    let range = passage["cells"]["range"].as_str().unwrap_or_else(|| panic!("{found:#}"));
    let (first, last) = range.split_once(':').unwrap_or_else(|| panic!("{range}"));
    let row = |cell: &str| cell[1..].parse::<u32>().unwrap();
    assert!((row(first)..=row(last)).contains(&779) && last.starts_with('D'), "{passage:#}");
    assert!(row(last) - row(first) < 51, "no more than is shown: {passage:#}");

    for absent in ["/tables/2", "/tables/0", "/tables/x"] {
        assert_eq!(asked.get(absent).status, 404, "{absent}");
    }
    assert_eq!(Asked::new(&server, &key, "plain.txt").tables(), Vec::<Value>::new());
    let audit = home.run(&["audit", "export", "demo"]);
    assert!(audit.contains("\"part\":\"tables\"") && audit.contains("\"format\":\"csv\""));
}

#[test]
fn tables_go_with_their_revision_and_their_document() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text(
        "note.md",
        "# One\n\n| a | b |\n|---|---|\n| 1 | 1,5 |\n\n| c | d |\n|---|---|\n| x | y |\n",
    );
    server.settle();
    let asked = Asked::new(&server, &key, "note.md");
    assert_eq!(asked.tables().len(), 2);
    let page = asked.get("/tables/1").json();
    assert_eq!(page["cells"], json!([[1, {"number": 1.5, "text": "1,5"}]]));

    home.add_text("note.md", "# One\n\n| only | one |\n|---|---|\n| 2024-05-06 | z |\n");
    server.settle();
    wait_for("the new revision", || (asked.tables().len() == 1).then_some(()));
    assert_eq!(asked.get("/tables/1").json()["cells"], json!([[{"date": "2024-05-06"}, "z"]]));
    assert_eq!(asked.get("/tables/2").status, 404);

    home.run(&["remove", "demo", "note.md"]);
    assert_eq!(asked.get("/tables").status, 404);
    assert_eq!(asked.get("/tables/1").status, 404);
}
