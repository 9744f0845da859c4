use kms_store::*;
use std::time::Instant;
fn new(id: String) -> Write {
    Write::Put { row: Row { id, owner: "admin".into(), object_type: kmip::enumerations::ObjectType::SymmetricKey, state: kmip::enumerations::State::Active, version: 1, due: None, record: vec![1; 400], material_generation: 1, material: Some(vec![7; 48]) },
      index: vec![IndexEntry{kind:1,value:b"x".to_vec()},IndexEntry{kind:2,value:b"y".to_vec()}], expected: None }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut a = std::env::args().skip(1);
    let url = a.next().unwrap();
    let product = if url.starts_with("postgres") { Product::Postgres } else { Product::MySql };
    let store = Store::open(Config::server(Address::parse(product, &url).unwrap(), Remote::default())).await.unwrap();
    let run = std::process::id();
    for round in 0..3 {
        let t = Instant::now();
        for i in 0..200 { store.commit(vec![], vec![new(format!("{run}-{round}-{i}"))]).await.unwrap(); }
        println!("serial create {:?}", t.elapsed() / 200);
        let t = Instant::now();
        for i in 0..200 { assert!(store.commit(vec![], vec![new(format!("{run}-{round}-{i}"))]).await.is_err()); }
        println!("serial exists {:?}", t.elapsed() / 200);
        let t = Instant::now();
        for i in 0..200 { store.object(&format!("{run}-{round}-{i}")).await.unwrap().unwrap(); }
        println!("serial read {:?}", t.elapsed() / 200);
        let t = Instant::now();
        let tasks: Vec<_> = (0..1000).map(|i| { let store = store.clone(); tokio::spawn(async move { store.commit(vec![], vec![new(format!("{run}-{round}-p{i}"))]).await.unwrap() }) }).collect();
        for t in tasks { t.await.unwrap(); }
        println!("parallel create {:?}", t.elapsed() / 1000);
    }
}
