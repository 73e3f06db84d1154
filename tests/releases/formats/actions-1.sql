BEGIN TRANSACTION;
CREATE TABLE action_files (
	id VARCHAR(32) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	site VARCHAR(64) NOT NULL, 
	at_ns BIGINT NOT NULL, 
	who VARCHAR(80) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	media_type VARCHAR(40) NOT NULL, 
	size INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "action_files" VALUES('7e72ea9314db21d4','b4c8827d925ebb44','s',7,'mai','a.pdf','application/pdf',5,X'255044462D');
CREATE TABLE action_notes (
	id INTEGER NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	at_ns BIGINT NOT NULL, 
	who VARCHAR(80) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "action_notes" VALUES(1,'b4c8827d925ebb44',5,'minh','drafted','');
INSERT INTO "action_notes" VALUES(2,'b4c8827d925ebb44',6,'mai','comment','đã đặt hàng');
INSERT INTO "action_notes" VALUES(3,'b4c8827d925ebb44',7,'mai','filed','a.pdf');
CREATE TABLE actions (
	id VARCHAR(32) NOT NULL, 
	site VARCHAR(64) NOT NULL, 
	stage VARCHAR(16) NOT NULL, 
	finding VARCHAR(64) NOT NULL, 
	created_ns BIGINT NOT NULL, 
	created_by VARCHAR(80) NOT NULL, 
	changed_ns BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "actions" VALUES('b4c8827d925ebb44','s','registered','',5,'minh',5,'{"format": 1, "terms": {"what": "Bôi trơn", "owner": "Lan", "method": "", "cause": "", "cost": 5.0, "currency": "VND"}, "plan": {"site": "s", "machines": ["m"], "metric": "oee", "part": "", "before": ["2026-01-01", "2026-01-28"], "work": ["2026-02-01", "2026-02-28"], "after": ["2026-03-01", "2026-03-28"], "settle_days": 3, "controls": ["n"], "mix": true, "expected_min": 70.0, "chosen": null, "formula": "nakajima", "level": 0.95, "version": 1}, "stage": "registered", "finding": "", "registered": [{"plan": {"site": "s", "machines": ["m"], "metric": "oee", "part": "", "before": ["2026-01-01", "2026-01-28"], "work": ["2026-02-01", "2026-02-28"], "after": ["2026-03-01", "2026-03-28"], "settle_days": 3, "controls": ["n"], "mix": true, "expected_min": 70.0, "chosen": null, "formula": "nakajima", "level": 0.95, "version": 1}, "at_ns": 5, "by": "minh", "digest": "b910f2d151463cf010763ec696593bbb0f9de1515efff0b0de66b442b88f235e", "told": {"effect": 0.02, "minutes": 90.0, "level": 0.6, "expected": 0.03, "days": [24, 24], "enough": null, "history": 48, "controls": 1}}], "verdict": null, "judged_ns": 0, "first": null, "later": [], "progress": null, "note": "", "told": {"effect": 0.02, "minutes": 90.0, "level": 0.6, "expected": 0.03, "days": [24, 24], "enough": null, "history": 48, "controls": 1}}');
CREATE TABLE findings (
	id VARCHAR(64) NOT NULL, 
	site VARCHAR(64) NOT NULL, 
	machine TEXT NOT NULL, 
	rule VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	stage VARCHAR(16) NOT NULL, 
	held BOOLEAN NOT NULL, 
	gain_low FLOAT NOT NULL, 
	gain_high FLOAT NOT NULL, 
	night_ns BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE findings_looks (
	site VARCHAR(64) NOT NULL, 
	machine TEXT NOT NULL, 
	night_ns BIGINT NOT NULL, 
	tests TEXT NOT NULL, 
	trust TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (site, machine)
);
CREATE TABLE findings_nights (
	night_ns BIGINT NOT NULL, 
	done_ns BIGINT NOT NULL, 
	machines INTEGER NOT NULL, 
	tests INTEGER NOT NULL, 
	PRIMARY KEY (night_ns)
);
CREATE TABLE nhip_schema (
	part VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (part)
);
INSERT INTO "nhip_schema" VALUES('findings',1);
INSERT INTO "nhip_schema" VALUES('actions',1);
CREATE INDEX ix_findings_site ON findings (site);
CREATE INDEX ix_findings_stage ON findings (stage);
CREATE INDEX ix_findings_looks_night_ns ON findings_looks (night_ns);
CREATE INDEX ix_actions_stage ON actions (stage);
CREATE INDEX ix_actions_site ON actions (site);
CREATE INDEX ix_actions_finding ON actions (finding);
CREATE INDEX ix_action_notes_action ON action_notes (action);
CREATE INDEX ix_action_files_site ON action_files (site);
CREATE INDEX ix_action_files_action ON action_files (action);
COMMIT;
