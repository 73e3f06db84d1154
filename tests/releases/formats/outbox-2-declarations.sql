BEGIN TRANSACTION;
CREATE TABLE carry (machine text primary key, data blob not null) without rowid;
INSERT INTO "carry" VALUES('m',X'7B22666F726D6174223A322C22736574746C65645F6E73223A302C22756E74696C5F6E73223A302C22726F7773223A7B7D2C22636F756E74657273223A7B7D2C226465636C61726174696F6E73223A5B5D2C2270726F64756374223A223F222C226B6E6F776E5F70726F64756374223A223F222C226C6173745F70696563655F6E73223A302C226D6164655F73696E63655F7365747570223A6E756C6C2C2273696E63655F6E73223A302C227368696674223A5B302C22225D2C2273686966745F706965636573223A302C226C6174655F726F7773223A302C226661637473223A5B5D2C226C6F73736573223A5B5D2C2273746F7073223A5B5D2C22666163745F726F7773223A5B5D2C226C6F73735F726F7773223A5B5D2C22706172745F6661637473223A5B5D2C22706172745F6C6F73736573223A5B5D7D');
CREATE TABLE declarations (no integer primary key, id text not null unique, machine text not null,
    made_ns integer not null, data text not null, source text not null, state text not null default 'new',
    why text not null default '');
INSERT INTO "declarations" VALUES(1,'d1','m',1,'{"id": "d1", "made_ns": 1, "machine": "m", "start_ns": 5, "end_ns": 9, "field": "reason", "value": "die-jam", "who": "Lan", "product": "", "supersedes": ""}','gateway','new','');
CREATE TABLE envelopes (id integer primary key, stream integer not null, seq integer not null,
    sealed_ns integer not null, data blob not null, unique (stream, seq));
INSERT INTO "envelopes" VALUES(1,1,1,1800000000000000000,X'4E480100CBE9A3C656F7E75B000000000000000118FAE27693B400009F222EC9D6AC6747B3917C736107B1A9A4901C3B7B226661637473223A7B226D616368696E65223A5B226D225D2C226D696E757465223A5B33303030303030305D2C226E223A5B305D2C2263616C656E646172223A5B227363686564756C6564225D2C2264617465223A5B32303833335D2C227368696674223A5B2241225D2C2270726F64756374223A5B2231225D2C2272756E6E696E675F6D73223A5B36303030305D2C226379636C6573223A5B375D7D7D');
INSERT INTO "envelopes" VALUES(2,2,1,1800000000000000000,X'4E480100608BF0C736F7762A000000000000000118FAE27693B40000417380C597019F29515FD24A8D597A9C45DB55287B226E616D65223A2256C3A26E204C6F6E67227D');
CREATE TABLE journal_checkpoints (machine text not null, settled_ns integer not null,
    data blob not null, primary key (machine, settled_ns)) without rowid;
CREATE TABLE journal_recent (no integer primary key, envelopes text not null, data blob not null);
CREATE TABLE journal_rows (machine text not null, from_ns integer not null, until_ns integer not null,
    data blob not null, primary key (machine, from_ns)) without rowid;
CREATE TABLE journal_sent (machine text not null, hour_ns integer not null, data blob not null,
    primary key (machine, hour_ns)) without rowid;
CREATE TABLE meta (key text primary key, value text not null) without rowid;
INSERT INTO "meta" VALUES('format','1');
INSERT INTO "meta" VALUES('outbox','6aed1e639ec87b25');
CREATE TABLE recomputes (machine text primary key, from_ns integer not null, asked_ns integer not null,
    state text not null default 'new', why text not null default '', base_ns integer) without rowid;
INSERT INTO "recomputes" VALUES('m',5,1800000000000000000,'new','',NULL);
CREATE TABLE settings (key text primary key, value text not null) without rowid;
INSERT INTO "settings" VALUES('author','s/g');
CREATE TABLE streams (no integer primary key, stream text not null unique, kind text not null,
    next_seq integer not null, mark integer not null, beyond text not null, current integer not null);
INSERT INTO "streams" VALUES(1,'cbe9a3c656f7e75b','facts',2,0,'[]',1);
INSERT INTO "streams" VALUES(2,'608bf0c736f7762a','site',2,0,'[]',1);
CREATE INDEX declarations_new on declarations (state) where state = 'new';
COMMIT;
