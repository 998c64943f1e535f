-- As in scripts/services. Root has no password and may come from anywhere.
create user 'tls_user'@'%' identified by '' require x509;
grant all on *.* to 'tls_user'@'%';
create user 'caching_user'@'%' identified with caching_sha2_password by 'sha2-secret';
grant all on *.* to 'caching_user'@'%';
