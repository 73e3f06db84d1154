BEGIN TRANSACTION;
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at_ns BIGINT NOT NULL, 
	who VARCHAR(80) NOT NULL, 
	address VARCHAR(80) NOT NULL, 
	what VARCHAR(40) NOT NULL, 
	about VARCHAR(200) NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,5,'root','','user.added','lan','{"role": "admin", "sites": "*"}');
CREATE TABLE gateways (
	site VARCHAR(64) NOT NULL, 
	gateway VARCHAR(64) NOT NULL, 
	serial INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	revoked BOOLEAN NOT NULL, 
	PRIMARY KEY (site, gateway, serial)
);
CREATE TABLE nhip_schema (
	part VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (part)
);
INSERT INTO "nhip_schema" VALUES('accounts',2);
CREATE TABLE secrets (
	name VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('sessions','6BAwtS6MAcBN3wBWt6aJGRmLdVJkwKwf_uBqsaIlHgU');
CREATE TABLE sessions (
	digest VARCHAR(64) NOT NULL, 
	user_id BIGINT NOT NULL, 
	expires_ns BIGINT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE tokens (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	sites TEXT NOT NULL, 
	scope VARCHAR(16) NOT NULL, 
	created_ns BIGINT NOT NULL, 
	expires_ns BIGINT, 
	used_ns BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (digest)
);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	full_name VARCHAR(200) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	sites TEXT NOT NULL, 
	password TEXT NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	created_ns BIGINT NOT NULL, 
	seen_ns BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "users" VALUES(1,'lan','','admin','*','$argon2id$v=19$m=65536,t=3,p=4$W2imQ3Oy3vLiVtHutTetDA$Q25kXpDvabh8QIS9GTD8iUnySLFKKHNDsyRs4fk3n0c',0,5,0);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);
COMMIT;
