// An OPC UA server of async-opcua, to be started as a child process: peer PORT FOLDER.
//
// FOLDER keeps its certificates. Prints "up" when it listens. Reads commands from standard input, one a line, and
// answers "done": `set NAME VALUE`.
use std::collections::HashMap;
use std::time::Duration;

use opcua::crypto::SecurityPolicy;
use opcua::server::address_space::Variable;
use opcua::server::diagnostics::NamespaceMetadata;
use opcua::server::node_manager::memory::{simple_node_manager, SimpleNodeManager};
use opcua::server::{ServerBuilder, ServerEndpoint};
use opcua::types::{DataValue, DateTime, MessageSecurityMode, NodeId, Variant};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let port: u16 = arguments[1].parse().unwrap();
    let anonymous = ["ANONYMOUS"];
    let uri = "urn:nhip:test:async-opcua";
    let (server, handle) = ServerBuilder::new()
        .application_name("peer")
        .application_uri(uri)
        .product_uri(uri)
        .create_sample_keypair(true)
        .certificate_path("own/cert.der")
        .private_key_path("private/private.pem")
        .pki_dir(format!("{}/pki", arguments[2]))
        .trust_client_certs(true)
        .host("127.0.0.1")
        .port(port)
        .discovery_urls(vec!["/".to_owned()])
        .add_endpoint("none", ServerEndpoint::new_none("/", &["ANONYMOUS".to_string()]))
        .add_endpoint(
            "secure",
            ("/", SecurityPolicy::Basic256Sha256, MessageSecurityMode::SignAndEncrypt, &anonymous as &[&str]),
        )
        .with_node_manager(simple_node_manager(
            NamespaceMetadata { namespace_uri: "urn:nhip:test".to_owned(), ..Default::default() },
            "simple",
        ))
        .build()
        .unwrap();
    let manager = handle.node_managers().get_of_type::<SimpleNodeManager>().unwrap();
    let index = handle.get_namespace_index("urn:nhip:test").unwrap();
    let mut start: HashMap<String, Variant> = HashMap::from([
        ("count".to_string(), 0i32.into()),
        ("running".to_string(), false.into()),
        ("temperature".to_string(), 20.5f64.into()),
        ("recipe".to_string(), "A".into()),
        ("list".to_string(), vec![11i32, 22, 33].into()),
    ]);
    for number in 0..300i32 {
        start.insert(format!("n{number}"), number.into());
    }
    {
        let space = manager.address_space();
        let mut space = space.write();
        let folder = NodeId::new(index, "M");
        space.add_folder(&folder, "M", "M", &NodeId::objects_folder_id());
        let variables = start
            .iter()
            .map(|(name, value)| Variable::new(&NodeId::new(index, name.clone()), name.clone(), name.clone(), value.clone()))
            .collect();
        space.add_variables(variables, &folder);
    }
    let subscriptions = handle.subscriptions().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await; // until it listens
        println!("up");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let words: Vec<&str> = line.split_whitespace().collect();
            let value: Variant = match start[words[1]] {
                Variant::Boolean(_) => (words[2] == "true").into(),
                Variant::Int32(_) => words[2].parse::<i32>().unwrap().into(),
                Variant::Double(_) => words[2].parse::<f64>().unwrap().into(),
                _ => words[2].into(),
            };
            let node = NodeId::new(index, words[1].to_owned());
            let data = DataValue::new_at(value, DateTime::now());
            manager.set_values(&subscriptions, [(&node, None, data)].into_iter()).unwrap();
            println!("done");
        }
    });
    server.run().await.unwrap();
}
