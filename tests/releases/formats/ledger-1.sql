BEGIN TRANSACTION;
CREATE TABLE ledger_digests (
	site VARCHAR(64) NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	stream VARCHAR(64) NOT NULL, 
	seq BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	PRIMARY KEY (site, gateway, stream, seq)
);
INSERT INTO "ledger_digests" VALUES('s','g','00000000000000aa',9,X'3132333435363738');
CREATE TABLE ledger_meta (
	"key" VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "ledger_meta" VALUES('generation','60989fa9bb9b6d9d');
CREATE TABLE ledger_owners (
	site VARCHAR(64) NOT NULL, 
	machine TEXT NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	first_ns BIGINT NOT NULL, 
	changed_ns BIGINT NOT NULL, 
	PRIMARY KEY (site, machine)
);
INSERT INTO "ledger_owners" VALUES('s','m','g',1,1800000000000000000);
CREATE TABLE ledger_quarantine (
	id INTEGER NOT NULL, 
	at_ns BIGINT NOT NULL, 
	topic TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	digest BLOB NOT NULL, 
	settled BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger_quarantine" VALUES(1,1,'nhip/v1/s/g/facts','unreadable',X'6E6F697365',X'EFE2A5C09E6D49D7EB735C9875F77404BE5B887BB3F56378038968D4E3FF8198',1);
CREATE TABLE ledger_sites (
	id INTEGER NOT NULL, 
	site VARCHAR(64) NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	config_hash TEXT NOT NULL, 
	valid_from_ns BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	changed_ns BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger_sites" VALUES(1,'s','g','hash',1,'{"machines": {}}',1800000000000000000);
CREATE TABLE ledger_streams (
	site VARCHAR(64) NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	stream VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	mark BIGINT NOT NULL, 
	beyond TEXT NOT NULL, 
	stored BIGINT NOT NULL, 
	quarantined BIGINT NOT NULL, 
	dropped BIGINT NOT NULL, 
	discarded BIGINT NOT NULL, 
	duplicates BIGINT NOT NULL, 
	conflicts BIGINT NOT NULL, 
	seen_ns BIGINT NOT NULL, 
	changed_ns BIGINT NOT NULL, 
	PRIMARY KEY (site, gateway, stream)
);
INSERT INTO "ledger_streams" VALUES('s','g','00000000000000aa','facts',7,'[[9, 9]]',8,0,0,0,0,0,5,1800000000000000000);
CREATE TABLE nhip_schema (
	part VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (part)
);
INSERT INTO "nhip_schema" VALUES('ledger',1);
CREATE INDEX ix_ledger_streams_changed_ns ON ledger_streams (changed_ns);
CREATE UNIQUE INDEX ledger_sites_identity ON ledger_sites (site, gateway, config_hash, valid_from_ns);
CREATE UNIQUE INDEX ledger_quarantine_identity ON ledger_quarantine (topic, digest, settled);
COMMIT;
