// An OPC UA server that nobody here wrote (node-opcua), to be started as a child process, so that it can be killed,
// stopped and told to misbehave.
//
//     node nodeopcua_server.js PORT FOLDER [OPTIONS AS JSON]
//
// FOLDER keeps its certificates; options: `more` variables n0, n1 ..., `limits` as node-opcua's ServerCapabilities,
// `untrusting`: unknown certificates are rejected. Prints "up" when it listens. Reads commands from standard input, one a line, and
// answers "done": `set NAME VALUE [STATUS [SECONDS]]` (a name of StatusCodes; the source time is off by SECONDS),
// `list VALUE ...` (the array `list`; `matrix` stays) and `drop` (every subscription ends, and nobody is told).
"use strict";
const path = require("path");
const readline = require("readline");
const { DataType, OPCUACertificateManager, OPCUAServer, ServerCapabilities, StatusCodes, Variant, VariantArrayType } =
    require("node-opcua");

const [port, folder, given] = process.argv.slice(2);
const options = JSON.parse(given || "{}");
const kinds = { count: DataType.Int32, running: DataType.Boolean, temperature: DataType.Double, recipe: DataType.String,
    clock: DataType.DateTime };
const values = { count: 0, running: false, temperature: 20.5, recipe: "A",
    clock: new Date() };

async function main() {
    const accepting = new OPCUACertificateManager({
        rootFolder: path.join(folder, "pki"), automaticallyAcceptUnknownCertificate: !options.untrusting,
    });
    await accepting.initialize();
    const server = new OPCUAServer({
        port: Number(port), hostname: "127.0.0.1", resourcePath: "/", serverCertificateManager: accepting,
        userCertificateManager: accepting, serverInfo: { applicationUri: "urn:nhip:test:node-opcua" },
        serverCapabilities: new ServerCapabilities(options.limits || {}),
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const namespace = space.registerNamespace("urn:nhip:test");
    const machine = namespace.addObject({ browseName: "M", organizedBy: space.rootFolder.objects });
    const variables = {};
    const add = (name, dataType, value) => {
        variables[name] = namespace.addVariable({
            componentOf: machine, nodeId: `s=${name}`, browseName: name, dataType,
            value: new Variant({ dataType, value }),
        });
    };
    for (const [name, value] of Object.entries(values)) add(name, kinds[name], value);
    const array = (name, value, dimensions) => {
        const arrayType = dimensions ? VariantArrayType.Matrix : VariantArrayType.Array;
        variables[name] = namespace.addVariable({
            componentOf: machine, nodeId: `s=${name}`, browseName: name, dataType: DataType.Int32,
            valueRank: dimensions ? dimensions.length : 1, arrayDimensions: dimensions,
            value: new Variant({ dataType: DataType.Int32, arrayType, dimensions, value: Int32Array.from(value) }),
        });
    };
    array("list", [11, 22, 33]);
    array("matrix", [1, 2, 3, 4, 5, 6], [2, 3]);
    for (let number = 0; number < (options.more || 0); number++) add(`n${number}`, DataType.Int32, number);
    await server.start();
    console.log("up");

    const commands = {
        set(name, text, status, seconds) {
            const dataType = kinds[name] || DataType.Int32;
            const read = { [DataType.Boolean]: (word) => word === "true", [DataType.String]: (word) => word,
                [DataType.DateTime]: (word) => new Date(word) }[dataType] || Number;
            const value = read(text);
            const at = new Date(Date.now() + 1000 * Number(seconds || 0));
            variables[name].setValueFromSource(new Variant({ dataType, value }), StatusCodes[status || "Good"], at);
        },
        list(...numbers) {
            variables.list.setValueFromSource(new Variant({ dataType: DataType.Int32, arrayType: VariantArrayType.Array,
                value: Int32Array.from(numbers.map(Number)) }));
        },
        drop() {
            for (const session of Object.values(server.engine._sessions))
                for (const subscription of session.publishEngine.subscriptions) subscription._stop_timer();
        },
    };
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [command, ...words] = line.trim().split(/\s+/);
        commands[command](...words);
        console.log("done");
    }
}

main().catch((error) => { console.error(error); process.exit(1); });
