// Machines of the published companion specifications: node-opcua with the official NodeSets and instances of their types.
//
//     node nodeopcua_standards.js PORT FOLDER [OPTIONS AS JSON]
//
// FOLDER keeps its certificates. Options: `machines`, which of the instances below to make; `nodesets`, further NodeSet
// files to load. Prints "up" when it listens. Reads commands from standard input, one a line, and answers "done":
//
//     state PATH NAME       a state machine enters a state: CurrentState, Id and, if it has one, Number. `-`: none
//     set PATH VALUE        a variable, in its own type
//     bad PATH STATUS       a variable without a value
//     counts PATH N ...     an array of PackMLCountDataType with these AccCounts
//
// PATH: browse names from Objects on, with slashes between.
"use strict";
const path = require("path");
const readline = require("readline");
const { AttributeIds, coerceNodeId, DataType, LocalizedText, OPCUACertificateManager, OPCUAServer, StatusCodes, Variant,
    VariantArrayType } = require("node-opcua");
const { nodesets } = require("node-opcua-nodesets");

const [port, folder, given] = process.argv.slice(2);
const options = JSON.parse(given || "{}");
const URI = { packml: "http://opcfoundation.org/UA/PackML/", machinery: "http://opcfoundation.org/UA/Machinery/",
    tool: "http://opcfoundation.org/UA/MachineTool/", ws: "http://opcfoundation.org/UA/Weihenstephan/",
    moulding: "http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/" };

function makers(space, own) {
    const index = (name) => space.getNamespaceIndex(URI[name]);
    const type = (model, name) => space.findObjectType(name, index(model));
    const machines = () => space.findNode(coerceNodeId("i=1001", index("machinery")));
    const folder = (parent, browseName) => own.addObject({ browseName, componentOf: parent });
    const inObjects = (browseName) => own.addObject({ browseName, organizedBy: space.rootFolder.objects });
    const plain = (parent, browseName, dataType, value) =>
        own.addVariable({ browseName, componentOf: parent, dataType, value: { dataType: DataType[dataType], value } });
    const inMachines = (browseName) => own.addObject({ browseName, organizedBy: machines() });
    const itemState = (parent, optionals) => type("machinery", "MachineryItemState_StateMachineType").instantiate({
        browseName: { name: "MachineryItemState", namespaceIndex: index("machinery") }, componentOf: parent,
        namespace: own, optionals });
    const mode = (parent, optionals) => type("machinery", "MachineryOperationModeStateMachineType").instantiate({
        browseName: { name: "MachineryOperationMode", namespaceIndex: index("machinery") }, componentOf: parent,
        namespace: own, optionals });
    const tool = (browseName, optionals) => type("tool", "MachineToolType").instantiate({
        browseName, organizedBy: machines(), namespace: own, optionals });
    const channel = (machine, browseName) => type("tool", "ChannelMonitoringType").instantiate({
        browseName, componentOf: machine.getComponentByName("Monitoring"), namespace: own });
    return {
        // OPC 30050's own type: three nested state machines, counters as arrays of structures
        packer: () => type("packml", "PackMLBaseObjectType").instantiate({
            browseName: "Packer", organizedBy: "ObjectsFolder", namespace: own,
            optionals: ["Admin.ProdProcessedCount", "Admin.ProdDefectiveCount"] }),
        // the flat tags of TR88: in their folders, and in none
        wrapper: () => {
            const machine = inObjects("Wrapper");
            const status = folder(machine, "Status");
            plain(status, "StateCurrent", "Int32", 6);
            plain(status, "UnitModeCurrent", "Int32", 1);
            plain(folder(machine, "Admin"), "ProdProcessedCount", "Int32", 400);
        },
        labeller: () => {
            const machine = inObjects("Labeller");
            plain(machine, "StateCurrent", "Int32", 2);
            plain(machine, "ProdProcessedCount", "Int32", 700);
        },
        // OPC 40001-1 with what is mandatory: no Number
        line2: () => itemState(folder(inMachines("Line2"), "MachineryBuildingBlocks"), []),
        line3: () => {
            const status = folder(folder(inMachines("Line3"), "Monitoring"), "Status");
            itemState(status, ["CurrentState.Number"]);
            mode(status, ["CurrentState.Number"]);
        },
        line4: () => {
            const blocks = folder(inMachines("Line4"), "MachineryBuildingBlocks");
            itemState(blocks, []);
            mode(blocks, []);
        },
        // OPC 40501-1: without a channel, and with two
        lathe: () => tool("Lathe", ["Production.Statistics.PartsProducedInLifetime"]),
        mill: () => {
            const machine = tool("Mill", ["Production.Statistics.PartsProducedInLifetime"]);
            channel(machine, "Channel1");
            channel(machine, "Channel2");
        },
        // OPC 40600: PackML's state machines with its own in Held and Suspended; the counters' names are WS Pack's
        filler: () => {
            const machine = type("ws", "WSMachineType").instantiate({
                browseName: "Filler", organizedBy: machines(), namespace: own,
                optionals: ["Counters", "OperatingStates", "Programs"] });
            const states = type("ws", "WSBaseStateMachineType").instantiate({
                browseName: "WS_Cur_State", componentOf: machine.getComponentByName("OperatingStates"), namespace: own });
            const running = states.getComponentByName("MachineState");
            space.deleteNode(running.getComponentByName("ExecuteState"));
            type("ws", "WSExecuteStateMachineType").instantiate({
                browseName: { name: "ExecuteState", namespaceIndex: index("packml") }, componentOf: running, namespace: own });
            plain(machine.getComponentByName("Programs"), "WS_Cur_Prog", "Int32", 1);
            const counters = machine.getComponentByName("Counters");
            plain(counters, "WS_Tot_Packages", "UInt32", 5000);
            plain(counters, "WS_Bad_Packages", "UInt32", 40);
        },
        // OPC 40077, where its NodeSet is given
        moulder: () => type("moulding", "IMM_MES_InterfaceType").instantiate({
            browseName: "IMM_MES_Interface_7", organizedBy: "ObjectsFolder", namespace: own, optionals: ["Jobs"] }),
    };
}

function commands(space) {
    const at = (text) => text.split("/").reduce((node, name) => {
        const found = node.getFolderElementByName(name) || node.getChildByName(name);
        if (!found) throw new Error(`no ${name} in ${node.browseName}, of ${text}`);
        return found;
    }, space.rootFolder.objects);
    const stateOf = (machine, name) => {
        for (let type = machine.typeDefinitionObj; type; type = type.subtypeOfObj)
            for (const item of type.getComponents())
                if (item.browseName.name === name && item.typeDefinitionObj &&
                    /StateType$/.test(item.typeDefinitionObj.browseName.name)) return item;
        throw new Error(`${machine.browseName} has no state ${name}`);
    };
    const write = (node, dataType, value, status) => node.setValueFromSource(new Variant({ dataType, value }), status);
    return {
        state(where, name) {
            const machine = at(where), current = machine.getChildByName("CurrentState");
            const id = current.getChildByName("Id"), number = current.getChildByName("Number");
            if (name === "-") {
                for (const node of [current, id, number])
                    if (node) write(node, DataType.Null, null, StatusCodes.BadStateNotActive);
                return;
            }
            const state = stateOf(machine, name);
            write(current, DataType.LocalizedText, new LocalizedText({ locale: "vi", text: `«${name}»` }));
            write(id, DataType.NodeId, state.nodeId);
            const stateNumber = state.getChildByName("StateNumber");
            if (number && stateNumber) write(number, DataType.UInt32, stateNumber.readValue().value.value);
        },
        set(where, text) {
            const node = at(where), dataType = node.dataTypeObj.isSubtypeOf(space.findDataType("Enumeration")) ?
                DataType.Int32 : DataType[node.dataTypeObj.browseName.name];
            write(node, dataType, dataType === DataType.Boolean ? text === "true" : Number(text));
        },
        bad(where, status) {
            write(at(where), DataType.Null, null, StatusCodes[status]);
        },
        counts(where, ...numbers) {
            const kind = space.findDataType("PackMLCountDataType", space.getNamespaceIndex(URI.packml));
            const value = numbers.map((number, place) => space.constructExtensionObject(kind, {
                id: place, name: `p${place}`, unit: { namespaceUri: "urn:units", unitId: 1, displayName: "pcs", description: "" },
                count: Number(number) % 1000, accCount: Number(number) }));
            at(where).setValueFromSource(new Variant({
                dataType: DataType.ExtensionObject, arrayType: VariantArrayType.Array, value }));
        },
    };
}

async function main() {
    const certificates = new OPCUACertificateManager({
        rootFolder: path.join(folder, "pki"), automaticallyAcceptUnknownCertificate: true });
    await certificates.initialize();
    const server = new OPCUAServer({
        port: Number(port), hostname: "127.0.0.1", resourcePath: "/", serverCertificateManager: certificates,
        userCertificateManager: certificates, serverInfo: { applicationUri: "urn:nhip:test:standards" },
        nodeset_filename: [nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery, nodesets.isa95JobControl,
            nodesets.machineryJobs, nodesets.packML,
            nodesets.machineTool, nodesets.weihenstephan, ...(options.nodesets || [])],
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("urn:nhip:test:plant");
    const make = makers(space, own);
    const standard = Object.keys(make).filter((name) => name !== "moulder");
    for (const name of options.machines || standard) make[name]();
    await server.start();
    console.log("up");
    const known = commands(space);
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [command, ...words] = line.trim().split(/\s+/);
        known[command](...words);
        console.log("done");
    }
}

main().catch((error) => { console.error(error); process.exit(1); });
