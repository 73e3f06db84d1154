BEGIN TRANSACTION;
CREATE TABLE declarations (
	site VARCHAR(64) NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	no INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	made_ns BIGINT NOT NULL, 
	machine VARCHAR(64) NOT NULL, 
	start_ns BIGINT NOT NULL, 
	end_ns BIGINT, 
	field VARCHAR(16) NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	who VARCHAR(200) NOT NULL, 
	product VARCHAR(64) NOT NULL, 
	supersedes VARCHAR(64) NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	why VARCHAR(200) NOT NULL, 
	decided_ns BIGINT NOT NULL, 
	PRIMARY KEY (site, gateway, no), 
	UNIQUE (id)
);
INSERT INTO "declarations" VALUES('s','g',1,'d1',1,'m',5,9,'reason','die-jam','Lan','','','sent','',0);
CREATE TABLE nhip_schema (
	part VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (part)
);
INSERT INTO "nhip_schema" VALUES('declarations',1);
CREATE INDEX ix_declarations_state ON declarations (state);
COMMIT;
