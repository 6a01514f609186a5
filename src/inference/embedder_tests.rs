//! The real model in the real runtime: what callers of the embedder rely on.
//!
//! Called by: the test harness. Talks to: the built-in model.
//! Invariants: one embedder serves all tests, as in the server.

use std::sync::OnceLock;

use super::*;

fn config(batch_tokens: usize) -> InferenceConfig {
    let private_dir = std::env::temp_dir().join(format!("cairn-inference-{}", std::process::id()));
    InferenceConfig { model_dir: None, threads: 2, batch_tokens, private_dir }
}

fn embedder() -> Embedder {
    static SHARED: OnceLock<Embedder> = OnceLock::new();
    SHARED.get_or_init(|| Embedder::load(&config(0)).unwrap()).clone()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

#[test]
fn the_golden_texts_come_out_as_shipped() {
    let result = embedder().self_test().unwrap();
    assert!(result.ok, "{result:?}");
    assert!(result.texts >= 6);
}

#[tokio::test]
async fn a_vector_depends_on_its_text_alone() {
    let embedder = embedder();
    let list = texts(&[
        "The pump failed at night.",
        "x",
        &"A long report about valves, seals and bearings. ".repeat(40),
        "",
    ]);
    let together = embedder.embed_passages(&list).await.unwrap();
    for (text, vector) in list.iter().zip(&together) {
        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert_eq!(vector.len(), 384);
        assert!((length - 1.0).abs() < 1e-3, "{length}");
        let alone = embedder.embed_passages(std::slice::from_ref(text)).await.unwrap();
        assert!(cosine(&alone[0], vector) > 0.99999);
        assert!(cosine(&embedder.embed_query(text).await.unwrap(), vector) > 0.9999);
    }
}

#[tokio::test]
async fn a_question_is_nearer_to_its_answer_than_to_anything_else() {
    let embedder = embedder();
    let query = embedder.embed_query("When was the contract signed?").await.unwrap();
    let passages = embedder
        .embed_passages(&texts(&[
            "Bananas are rich in potassium.",
            "The agreement was signed on 3 March 2021 in Geneva.",
            "The night shift isolated the leaking line.",
        ]))
        .await
        .unwrap();
    let scores: Vec<f32> = passages.iter().map(|passage| cosine(&query, passage)).collect();
    assert!(scores[1] > scores[0] + 0.2 && scores[1] > scores[2] + 0.2, "{scores:?}");
}

#[tokio::test]
async fn batches_give_the_vectors_back_in_the_order_of_the_texts() {
    let batching = Embedder::load(&config(512)).unwrap();
    let list = texts(&[
        "Bananas are rich in potassium, and so are potatoes, beans and many other vegetables.",
        "The contract ends.",
        "Bearings wear out when the oil is dirty.",
    ]);
    let batched = batching.embed_passages(&list).await.unwrap();
    let alone = embedder().embed_passages(&list).await.unwrap();
    for (one, other) in batched.iter().zip(&alone) {
        assert!(cosine(one, other) > 0.97);
    }
}

#[tokio::test]
async fn no_texts_give_no_vectors() {
    assert!(embedder().embed_passages(&[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_does_not_wait_for_the_passages_before_it() {
    let embedder = embedder();
    let busy = embedder.clone();
    let list = vec!["A long report about valves, seals and bearings. ".repeat(40); 60];
    let passages = tokio::spawn(async move { busy.embed_passages(&list).await });
    embedder.embed_query("Which bearing failed?").await.unwrap();
    assert!(!passages.is_finished());
    assert_eq!(passages.await.unwrap().unwrap().len(), 60);
}

#[test]
fn the_tokenizer_neither_cuts_nor_pads() {
    let embedder = embedder();
    let count = |text: &str| embedder.tokenizer().encode_fast(text, false).unwrap().len();
    assert_eq!(count("hello world"), 2);
    assert_eq!(count(&"hello ".repeat(1000)), 1000);
}

#[test]
fn the_runtime_tells_what_it_is() {
    let embedder = embedder();
    assert_eq!(embedder.runtime().version, crate::native::ONNX_RUNTIME_VERSION);
    assert!(embedder.runtime().cpu_features.iter().any(|feature| feature == "avx"));
    assert_eq!(embedder.info().id, "all-MiniLM-L6-v2-int8");
}
