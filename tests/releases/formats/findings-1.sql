BEGIN TRANSACTION;
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
INSERT INTO "findings" VALUES('ed77169b2919ca19','s','m','slow_start',1,'open',0,20.0,90.0,7,'{"format": 1, "finding": {"rule": "slow_start", "version": 1, "machine": "m", "key": ["shift_start"], "passes": true, "p": 0.001, "figures": {"lost_min": 2.0}, "names": {}, "gain": [20.0, 90.0], "claims": ["unplanned_stop"], "evidence": {"start_ns": 1, "end_ns": 2, "dropped": [20500], "n": 3, "series": {"lost_min": [1.5, 2.5]}, "stops": ["stop-1"]}}, "stage": "open", "since_ns": 3, "stage_ns": 4, "passed_ns": 5, "then": [20.0, 90.0], "told": [20.0, 90.0], "held": false, "reason": "", "by": ""}');
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
CREATE INDEX ix_findings_stage ON findings (stage);
CREATE INDEX ix_findings_site ON findings (site);
CREATE INDEX ix_findings_looks_night_ns ON findings_looks (night_ns);
COMMIT;
