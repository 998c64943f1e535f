-- As in scripts/services.
create role scram_users nologin;
create role scram_user login password 'scram-secret' in role scram_users;
create role tls_user login;
